export const at = (id) => document.getElementById(id);

/** Says what has happened, to the eye and to a screen reader. */
export function say(text) {
  const status = at("status");
  clearTimeout(say.timer);
  status.textContent = text;
  say.timer = setTimeout(() => { status.textContent = ""; }, 8000);
}

/** A name to stand in a sentence: what runs from right to left does not turn the rest of it, and what is too long is cut. */
export function inSentence(name) {
  const letters = [...name];
  return `\u2068${letters.length > 60 ? `${letters.slice(0, 60).join("")}…` : name}\u2069`;
}

/** Shows what is wrong with a field beside it, or, with "", that nothing is. */
export function setError(input, text) {
  at(`${input.id}-error`).textContent = text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Closes a dialog. The browser gives the focus back to what it was opened by, unless that is gone: then to otherwise. */
export function close(dialog, otherwise) {
  dialog.close();
  const active = document.activeElement;
  if (!active || active === document.body || !active.checkVisibility()) otherwise.focus();
}
