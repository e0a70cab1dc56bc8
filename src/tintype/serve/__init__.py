"""A page and a service over HTTP: photographs coloured in a browser, or for other programs."""
