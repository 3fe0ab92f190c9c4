"""Draws cut-outs for detection sets from four open sets of emoji: one PNG file with alpha for each drawing.

    npm pack @iconify-json/noto @iconify-json/openmoji @iconify-json/twemoji @iconify-json/fluent-emoji-flat
    for archive in *.tgz; do mkdir -p icons/${archive%.tgz} && tar xzf $archive -C icons/${archive%.tgz}; done
    pip install resvg-py
    python benchmarks/detection/cutouts.py icons -o cutouts [--side 128]

The drawings of Noto Emoji are under Apache 2.0, those of OpenMoji under CC BY-SA 4.0, those of Twemoji under CC BY 4.0,
and those of Fluent Emoji under MIT. They are not part of passband.

The script writes cutouts/CLASS/OBJECT_SET.png. All sets use one list of names, so an object such as `white-cat` has up
to four drawings. `passband paste` keeps them together when it holds out objects, because their names agree up to the
first `_`.
"""

import argparse
import io
import json
from pathlib import Path

from PIL import Image

CLASSES = {
    "ball": "american-football baseball basketball pool-8-ball rugby-football soccer-ball softball tennis volleyball "
    "yarn bowling",
    "bird": "bird black-bird chicken dodo dove duck eagle flamingo goose owl parrot peacock penguin rooster swan "
    "turkey",
    "boat": "canoe ferry motor-boat passenger-ship sailboat ship speedboat anchor",
    "book": "blue-book books closed-book green-book ledger notebook notebook-with-decorative-cover open-book "
    "orange-book",
    "building": "bank castle church classical-building convenience-store department-store factory hospital hotel house "
    "house-with-garden hut japanese-castle japanese-post-office mosque office-building post-office school synagogue",
    "car": "ambulance automobile delivery-truck fire-engine minibus oncoming-automobile oncoming-police-car "
    "oncoming-taxi pickup-truck police-car racing-car sport-utility-vehicle taxi articulated-lorry",
    "cat": "black-cat cat cat-face cat-with-tears-of-joy cat-with-wry-smile crying-cat grinning-cat kissing-cat "
    "pouting-cat smiling-cat-with-heart-eyes weary-cat leopard tiger tiger-face lion",
    "clock": "alarm-clock eight-oclock eleven-thirty five-oclock four-thirty mantelpiece-clock nine-oclock one-thirty "
    "six-oclock stopwatch ten-thirty three-oclock timer-clock two-thirty watch",
    "dog": "dog dog-face fox guide-dog poodle raccoon service-dog wolf",
    "fish": "blowfish dolphin fish shark tropical-fish whale spouting-whale seal",
    "flower": "blossom bouquet cherry-blossom hibiscus hyacinth lotus rose rosette sunflower tulip white-flower "
    "wilted-flower",
    "footwear": "ballet-shoes flat-shoe high-heeled-shoe hiking-boot ice-skate mans-shoe roller-skate running-shoe "
    "thong-sandal womans-boot womans-sandal",
    "fruit": "banana cherries grapes green-apple kiwi-fruit lemon lime mango melon peach pear pineapple red-apple "
    "strawberry tangerine tomato watermelon blueberries",
    "heart": "black-heart blue-heart broken-heart brown-heart green-heart grey-heart growing-heart heart-with-arrow "
    "light-blue-heart orange-heart pink-heart purple-heart red-heart sparkling-heart white-heart yellow-heart",
    "insect": "ant beetle bug butterfly cockroach cricket fly honeybee lady-beetle mosquito spider scorpion",
    "instrument": "accordion banjo drum flute guitar long-drum maracas musical-keyboard saxophone trumpet violin",
    "rodent": "badger bat beaver chipmunk hamster hedgehog mouse mouse-face otter rabbit rabbit-face rat skunk",
    "train": "bullet-train high-speed-train light-rail locomotive metro monorail mountain-railway railway-car station "
    "suspension-railway train tram tram-car trolleybus",
    "tree": "cactus christmas-tree deciduous-tree evergreen-tree palm-tree potted-plant seedling tanabata-tree",
    "two-wheeler": "bicycle kick-scooter manual-wheelchair motor-scooter motorcycle motorized-wheelchair skateboard",
}
"""Names of the objects of each class, in all four sets."""


def rendered(icons: dict, name: str, side: int) -> Image.Image:
    """Draw an icon and cut away its empty border."""
    import resvg_py

    entry = icons["icons"][icons.get("aliases", {}).get(name, {}).get("parent", name)]
    width = entry.get("width", icons.get("width", 16))
    height = entry.get("height", icons.get("height", 16))
    box = f"{entry.get('left', 0)} {entry.get('top', 0)} {width} {height}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{entry["body"]}</svg>'
    data = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side)
    image = Image.open(io.BytesIO(bytes(data))).convert("RGBA")
    return image.crop(image.getchannel("A").getbbox())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("icons", type=Path, help="folder below which the icons.json of each set lies")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--side", type=int, default=128)
    options = parser.parse_args()
    sets = {json.loads(path.read_text(encoding="utf-8"))["prefix"]: path for path in options.icons.rglob("icons.json")}
    if not sets:
        raise SystemExit(f"{options.icons} holds no icons.json; unpack the packages that the help names into it")
    written = 0
    for prefix, path in sets.items():
        icons = json.loads(path.read_text(encoding="utf-8"))
        for label, names in CLASSES.items():
            folder = options.output / label
            folder.mkdir(parents=True, exist_ok=True)
            for name in names.split():
                if name in icons["icons"] or name in icons.get("aliases", {}):
                    rendered(icons, name, options.side).save(folder / f"{name}_{prefix}.png", optimize=True)
                    written += 1
    print(f"{written} cut-outs of {len(CLASSES)} classes in {options.output}")


if __name__ == "__main__":
    main()
