export const at = (id) => document.getElementById(id);

/** Shows a message for 8 s, which screen readers read out. */
export function say(text) {
  const status = at("status");
  clearTimeout(say.timer);
  status.textContent = text;
  say.timer = setTimeout(() => { status.textContent = ""; }, 8000);
}

/** A name for a sentence, cut to 60 characters, and isolated in case it runs from right to left. */
export function inSentence(name) {
  const letters = [...name];
  return `\u2068${letters.length > 60 ? `${letters.slice(0, 60).join("")}…` : name}\u2069`;
}

/** Shows an error beside a field; "" removes it. */
export function setError(input, text) {
  at(`${input.id}-error`).textContent = text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Closes a dialog. If the element that opened it is gone, otherwise gets the focus. */
export function close(dialog, otherwise) {
  dialog.close();
  const active = document.activeElement;
  if (!active || active === document.body || !active.checkVisibility()) otherwise.focus();
}
