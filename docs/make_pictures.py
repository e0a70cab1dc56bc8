"""Makes the README's picture of photographs before and after: python docs/make_pictures.py

The photographs are those of `examples/`; the model is the one that ships.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tintype import Colorizer

ROOT = Path(__file__).parents[1]
HEIGHT, GAP = 300, 6


def main() -> None:
    """Write `docs/images/before-after.jpg`: each photograph grey, then coloured."""
    colorizer = Colorizer()
    panels: list[Image.Image] = []
    for path in sorted((ROOT / "examples").glob("*.jpg")):
        if path.stem.endswith(".color"):
            continue
        with Image.open(path) as photograph:
            grey = photograph.convert("L")
        for picture in (grey.convert("RGB"), colorizer(grey)):
            # Halves of the wider photographs, so that each pair stays near a square.
            side = min(picture.width, round(picture.height * 1.1))
            left = (picture.width - side) // 2
            part = picture.crop((left, 0, left + side, picture.height))
            panels.append(
                part.resize((round(HEIGHT * part.width / part.height), HEIGHT), Image.Resampling.LANCZOS)
            )
    sheet = Image.new("RGB", (sum(p.width + GAP for p in panels) - GAP, HEIGHT), "white")
    x = 0
    for panel in panels:
        sheet.paste(panel, (x, 0))
        x += panel.width + GAP
    sheet.save(ROOT / "docs" / "images" / "before-after.jpg", quality=90)


if __name__ == "__main__":
    main()
