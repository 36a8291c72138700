"use strict";

// Swagger UI has a dark theme, but does not follow the system's preference by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

// The scripts of this page may not request the archive from S3, but a user may follow a link to it.
const archiveLink = {
  wrapComponents: {
    responseBody: (ResponseBody, { React: { createElement } }) => (props) => {
      const url = downloadUrl(props.content);
      const link = url && createElement("a", { href: url, className: "archive" }, "Download the archive");
      return createElement("div", null, link, createElement(ResponseBody, props));
    },
  },
};

function downloadUrl(content) {
  try {
    return JSON.parse(content).export.download_url;
  } catch {
    return null; // most responses contain no export
  }
}

// The curl line is shown and copied without the key, because pages are shared and screens are recorded.
const maskedKey = {
  wrapComponents: {
    curl: (Curl, { React: { createElement } }) => (props) =>
      createElement(Curl, { ...props, request: props.request.update("headers", maskKey) }),
  },
};

function maskKey(headers) {
  return headers && headers.map((value, name) => (name.toLowerCase() === "authorization" ? "Bearer prj_…" : value));
}

// Below the base path of a custom domain, the routes are next to this page, and not at the root of the host.
const basePath = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (document) =>
          update({ ...document, servers: [{ url: new URL("..", location.href).pathname }] }),
      },
    },
  },
};

// A script can't follow the redirect to an archive either, so it requests the export with its URL.
function requestExport(request) {
  if (new URL(request.url, location.href).pathname.endsWith("/export")) {
    delete request.headers.accept; // as Swagger UI spells it: the browser would send both values
    request.headers.Accept = "application/json";
  }
  return request;
}

const docs = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0, // the list of schemas is longer than all operations
  plugins: [archiveLink, basePath, maskedKey],
  requestInterceptor: requestExport,
  onComplete: () => field.value && useKey(), // a key that was entered while the document was loading
  validatorUrl: null, // the default validator would send the document to a third party
});

// The key is kept in memory only: never in storage or in the URL.
const field = document.getElementById("api-key");
field.addEventListener("input", useKey);
field.form.addEventListener("submit", (event) => event.preventDefault());

function useKey() {
  const key = field.value.trim();
  if (key) docs.preauthorizeApiKey("ApiKey", key);
  else docs.authActions.logout(["ApiKey"]);
  field.form.querySelector("output").textContent = key
    ? "Requests use this key. Reload the page to clear it."
    : "Requests without a key fail with status 401.";
}
