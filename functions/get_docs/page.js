"use strict";

const docs = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
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
