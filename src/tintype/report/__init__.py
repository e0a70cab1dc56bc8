"""What scores look like: contact sheets, charts, and one page that holds all of it."""
