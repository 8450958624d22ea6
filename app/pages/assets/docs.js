import { token } from "./api.js";

// What the viewer leaves without a name, for those who are read to.
const names = {
  "#servers": "Server",
  ".examples-select-element": "Example",
  "textarea.body-param__text": "Body of the request",
  "textarea.curl": "The request as a curl command",
  ".close-modal": "Close",
};

// It has links in buttons, which the keyboard would stop at twice and a screen reader skips; opening an operation puts it into the URL as well.
function mend(root) {
  for (const [selector, name] of Object.entries(names)) {
    for (const element of root.querySelectorAll(selector)) if (!element.hasAttribute("aria-label")) element.setAttribute("aria-label", name);
  }
  for (const link of root.querySelectorAll("button a[href]")) link.removeAttribute("href");
}

const shown = document.querySelector("#viewer");
new MutationObserver(() => mend(shown)).observe(shown, { childList: true, subtree: true });

// Shows the description that the API itself serves.
const viewer = window.SwaggerUIBundle({
  dom_id: "#viewer",
  url: new URL("openapi.json", document.baseURI).href,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null, // it would be another origin's
  // What is tried out is sent with the token of this tab, if the page of the users has one.
  onComplete() {
    const bearer = token.get();
    if (bearer === null) return;
    for (const [name, scheme] of Object.entries(viewer.getState().getIn(["spec", "json", "components", "securitySchemes"])?.toJS() ?? {})) {
      if (scheme.type === "http" && scheme.scheme === "bearer") viewer.preauthorizeApiKey(name, bearer);
    }
  },
});
