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
  // The token of this tab, if the page of the users asked for one.
  requestInterceptor(request) {
    const bearer = token.get();
    if (bearer !== null && request.loadSpec) request.headers.Authorization = `Bearer ${bearer}`;
    return request;
  },
  onComplete() {
    const bearer = token.get();
    if (bearer === null) return;
    for (const [name, scheme] of Object.entries(viewer.getState().getIn(["spec", "json", "components", "securitySchemes"])?.toJS() ?? {})) {
      if (scheme.type === "http" && scheme.scheme === "bearer") viewer.preauthorizeApiKey(name, bearer);
    }
  },
});
