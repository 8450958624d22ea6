import { call } from "./api.js";
import { at, setError } from "./dialog.js";

const dialog = at("confirm");
let user;
let deleted;
let busy = false;

/** Asks whether a user should be deleted. done(user) is called when it is. */
export function confirmDelete(which, done) {
  user = which;
  deleted = done;
  at("confirm-name").textContent = user.name || user.email;
  at("confirm-email").textContent = user.email;
  setError(dialog, "");
  dialog.showModal();
  at("confirm-cancel").focus(); // what does no harm
}

at("confirm-cancel").addEventListener("click", () => dialog.close());

at("confirm-delete").addEventListener("click", async () => {
  if (busy) return;
  busy = true;
  const target = user;
  const done = deleted;
  at("confirm-delete").setAttribute("aria-disabled", "true");
  setError(dialog, "");
  try {
    await call("DELETE", `users/${encodeURIComponent(target.id)}`);
  } catch (error) {
    if (error.status !== 404) { // one that is gone already is what was asked for
      if (user === target) at("confirm-error").textContent = error.sentence;
      return;
    }
  } finally {
    busy = false;
    at("confirm-delete").removeAttribute("aria-disabled");
  }
  dialog.close();
  done(target);
});
