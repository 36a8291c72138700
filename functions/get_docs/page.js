"use strict";

// An archive lies in S3, where the scripts of this page may not go; who follows a link may.
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
    return null; // most answers are of no export
  }
}

const docs = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  plugins: [archiveLink],
  validatorUrl: null, // it would send the document to somebody else
});

// The key stays in this page: it is neither stored nor put into the address.
const field = document.getElementById("api-key");
field.addEventListener("input", () => {
  const key = field.value.trim();
  if (key) docs.preauthorizeApiKey("ApiKey", key);
  else docs.authActions.logout(["ApiKey"]);
  field.form.querySelector("output").textContent = key
    ? "Requests that you try bear this key; reload the page to forget it."
    : "Without a key, requests are answered with 401.";
});
field.form.addEventListener("submit", (event) => event.preventDefault());
