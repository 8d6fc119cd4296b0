// Shows the description of the API that this node serves beside this file; nothing is asked of any other host.
SwaggerUIBundle({
  url: "edge_server_api.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
