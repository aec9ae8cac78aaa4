"""The HTTP API: an API Gateway event in, a response out. `app.answer` is the door, `routes.ROUTES` the map."""
