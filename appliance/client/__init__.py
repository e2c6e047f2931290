"""A client of the console's API, for programs and for `reef --gateway https://…`."""
