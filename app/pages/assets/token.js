import { onTokenNeeded, token } from "./api.js";
import { at, say, setError } from "./dialog.js";

const dialog = at("token");
const input = at("token-value");
let settle = null; // ends the question that is open

/** Makes the dialog that asks for an access token. changed is called when one was entered or forgotten by choice. */
export function tokens(changed) {
  const opener = at("token-open");
  const show = () => { opener.hidden = token.get() === null && !show.needed; };
  show();

  const open = (error) => {
    input.value = "";
    setError(input, error);
    at("token-forget").hidden = token.get() === null;
    if (!dialog.open) dialog.showModal();
    input.focus();
  };

  onTokenNeeded((invalid) => new Promise((resolve) => {
    show.needed = true;
    show();
    settle = resolve;
    open(invalid ? "The API does not know this token." : "");
  }));

  opener.addEventListener("click", () => open(""));
  at("token-cancel").addEventListener("click", () => dialog.close());

  at("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(value)) {
      setError(input, value ? "A token has only letters, digits and signs, without a space." : "Enter a token.");
      input.focus();
      return;
    }
    token.set(value);
    finish(true);
  });

  at("token-forget").addEventListener("click", () => {
    token.set(null);
    show.needed = true;
    finish(false);
    say("The token is forgotten.");
  });

  // Also when Escape closes it.
  dialog.addEventListener("close", () => {
    input.value = "";
    settle?.(false);
    settle = null;
  });

  function finish(entered) {
    const waiting = settle;
    settle = null;
    show();
    dialog.close();
    if (waiting) waiting(entered);
    else changed();
  }
}

/** Opens the dialog for an access token. */
export const enterToken = () => at("token-open").click();
