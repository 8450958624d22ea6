import { token } from "./api.js";

// Names for screen readers, of elements to which the viewer gives none.
const names = {
  "#servers": "Server",
  ".examples-select-element": "Example",
  "textarea.body-param__text": "Body of the request",
  "textarea.curl": "The request as a curl command",
  ".close-modal": "Close",
};

// The viewer has links inside buttons, so the Tab key would stop twice. Without href they are not
// links; opening an operation puts it into the URL anyway.
function mend(root) {
  for (const [selector, name] of Object.entries(names)) {
    for (const element of root.querySelectorAll(selector)) if (!element.hasAttribute("aria-label")) element.setAttribute("aria-label", name);
  }
  for (const link of root.querySelectorAll("button a[href]")) link.removeAttribute("href");
}

const shown = document.querySelector("#viewer");
new MutationObserver(() => mend(shown)).observe(shown, { childList: true, subtree: true });

// Shows the description that the API serves.
const viewer = window.SwaggerUIBundle({
  dom_id: "#viewer",
  url: new URL("openapi.json", document.baseURI).href,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null, // it would be another origin's
  // "Try it out" sends the access token of this tab, if one was entered on the page of the users.
  onComplete() {
    const bearer = token.get();
    if (bearer === null) return;
    for (const [name, scheme] of Object.entries(viewer.getState().getIn(["spec", "json", "components", "securitySchemes"])?.toJS() ?? {})) {
      if (scheme.type === "http" && scheme.scheme === "bearer") viewer.preauthorizeApiKey(name, bearer);
    }
  },
});
