import { Refusal, Stopped, call } from "./api.js";
import { at, close, setError } from "./dialog.js";
import { addImage, showFace } from "./face.js";

const dialog = at("editor");
const form = at("editor-form");
const inputs = { name: at("name"), email: at("email"), avatar: at("avatar") };
const preview = at("preview");
const drop = at("drop");

let user = null; // as the API has it; null while it is new
let saved = () => {};
let key = ""; // one for all attempts to make this user, so that it is made once
let file = null; // picked or dropped, not sent yet
let removed = false;
let source = ""; // object URL of file
let sending = null; // AbortController of what is under way

/** Opens the form for a user; null is a new one. done(user) is called whenever the API has stored something. */
export function edit(which, done) {
  user = which;
  saved = done;
  key = randomKey();
  inputs.name.value = user?.name ?? "";
  inputs.email.value = user?.email ?? "";
  at("editor-title").textContent = user ? "Edit user" : "Add a user";
  at("editor-save").textContent = user ? "Save" : "Add";
  clearErrors();
  setFile(null);
  dialog.showModal();
  inputs.name.focus();
}

// Browsers have crypto.randomUUID for https and localhost only.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The picture.

function setFile(next, remove = false) {
  if (source) URL.revokeObjectURL(source);
  source = "";
  file = next;
  removed = remove;
  inputs.avatar.value = "";
  setError(inputs.avatar, "");
  showPreview();
}

function showPreview() {
  const avatar_url = removed || file ? "" : user?.avatar_url ?? "";
  showFace(preview, { id: user?.id ?? "", name: inputs.name.value, avatar_url });
  at("avatar-remove").hidden = !file && !avatar_url;
  if (!file) return;
  source ||= URL.createObjectURL(file);
  const shown = file;
  addImage(preview, source, () => {
    // The file stays chosen, because the API may accept what this browser cannot show.
    if (file === shown && !inputs.avatar.hasAttribute("aria-invalid")) setError(inputs.avatar, `This browser cannot show ${shown.name}.`);
  });
}

inputs.avatar.addEventListener("change", () => { if (inputs.avatar.files.length) setFile(inputs.avatar.files[0]); });
at("avatar-remove").addEventListener("click", () => {
  setFile(null, Boolean(user));
  inputs.avatar.focus();
});
inputs.name.addEventListener("input", () => { if (!preview.querySelector("img")) showPreview(); });

// Otherwise the browser would open a file that is dropped beside the field, in place of the page.
for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = dialog.open && !sending ? "copy" : "none";
  });
}
dialog.addEventListener("dragover", (event) => { drop.classList.toggle("over", event.dataTransfer.types.includes("Files") && !sending); });
dialog.addEventListener("dragleave", (event) => { if (!dialog.contains(event.relatedTarget)) drop.classList.remove("over"); });
dialog.addEventListener("drop", (event) => {
  drop.classList.remove("over");
  if (event.dataTransfer.files.length && !sending) setFile(event.dataTransfer.files[0]);
});

// Saving.

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending || !complete()) return;
  setSending(new AbortController());
  try {
    if (user) await change();
    else await create();
    setSending(null);
    close(dialog, at("heading"));
  } catch (error) {
    setSending(null);
    if (dialog.open) show(error);
  }
});

function complete() {
  clearErrors();
  if (!inputs.name.value.trim()) setError(inputs.name, "Enter a name.");
  if (!inputs.email.value.trim()) setError(inputs.email, "Enter an e-mail address.");
  const first = form.querySelector("[aria-invalid]");
  first?.focus();
  return !first;
}

async function create() {
  const name = inputs.name.value.trim();
  const email = inputs.email.value.trim();
  const body = new FormData();
  body.append("name", name);
  body.append("email", email);
  if (file) body.append("avatar", file);
  const { data } = await call("POST", "users", { body, headers: { "Idempotency-Key": key }, ...underWay() });
  saved({ id: data.id, name, email, avatar_url: data.avatar_url });
}

// After a failure, a second try sends only what has not been stored yet.
async function change() {
  const path = `users/${encodeURIComponent(user.id)}`;
  const patch = {};
  for (const field of ["name", "email"]) {
    const value = inputs[field].value.trim();
    if (value !== user[field]) patch[field] = value;
  }
  if (Object.keys(patch).length) {
    const headers = { "Content-Type": "application/merge-patch+json" };
    stored((await call("PATCH", path, { body: JSON.stringify(patch), headers, signal: sending.signal })).data);
  }
  if (file) {
    const headers = { "Content-Type": file.type || "application/octet-stream" };
    stored((await call("PUT", `${path}/avatar`, { body: file, headers, ...underWay() })).data);
  } else if (removed && user.avatar_url) {
    await call("DELETE", `${path}/avatar`, { signal: sending.signal });
    stored({ ...user, avatar_url: "" });
  }
}

function stored(now) {
  user = now;
  saved(user);
}

const underWay = () => ({ signal: sending.signal, progress: file ? showProgress : undefined });

function showProgress(share) {
  const percent = Math.round(share * 100);
  at("upload-bar").value = percent;
  at("upload-text").textContent = percent < 100 ? `Sending the picture: ${percent} %` : "The picture is sent. Saving …";
}

function setSending(controller) {
  sending = controller;
  const busy = sending !== null;
  form.setAttribute("aria-busy", String(busy));
  // A disabled button would lose the focus.
  at("editor-save").setAttribute("aria-disabled", String(busy));
  inputs.name.readOnly = inputs.email.readOnly = busy;
  inputs.avatar.disabled = at("avatar-remove").disabled = busy;
  at("upload").hidden = !busy || !file;
  at("editor-cancel").textContent = busy ? "Stop" : "Cancel";
  if (busy) showProgress(0);
}

at("editor-cancel").addEventListener("click", () => {
  if (sending) sending.abort();
  else dialog.close();
});
dialog.addEventListener("cancel", (event) => { // Escape
  if (!sending) return;
  event.preventDefault();
  sending.abort();
});
dialog.addEventListener("close", () => {
  sending?.abort();
  setFile(null);
});

// Errors, beside their fields.

function clearErrors() {
  for (const input of Object.values(inputs)) setError(input, "");
  at("editor-error").textContent = "";
}

function show(error) {
  const [input, text] = explain(error);
  if (input) {
    setError(input, text);
    input.focus();
  } else {
    at("editor-error").textContent = text;
  }
}

function explain(error) {
  if (error instanceof Stopped) return [null, "Stopped. What you entered is still here."];
  if (!(error instanceof Refusal)) throw error;
  const is = (...parts) => error.status < 500 && parts.some((part) => error.message.includes(part));
  if (error.status === 422) return [null, "An earlier attempt has added this user already, with what you had entered then. Cancel, and look for it in the list."];
  if (is("'name'")) return [inputs.name, error.sentence];
  if (is("'email'")) return [inputs.email, error.sentence];
  if (is("Avatar")) return [inputs.avatar, error.sentence];
  return [null, error.sentence];
}
