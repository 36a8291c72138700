"""The rules of the service: projects, members, users, resources and exports, and who may do what with them."""
