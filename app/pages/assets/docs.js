import { token } from "./api.js";

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
