"""A live camera in colour: sources, the newest picture, what is shown and where. Needs the extra `live`."""
