"""Makes sound files of every kind that passband reads, which `fuzz.py` mutates."""

import io
import json
import struct
import tempfile
import zlib
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_photos import heif, photos
from fuzz_pictures import SIZE, Seed, exif_block, icc_profile, picture, png_chunk, saved, with_alpha
from PIL import Image, PngImagePlugin

from passband.config import load_recipe, shipped_recipes


def seeds() -> list[Seed]:
    """Return all sound files. They are the same in every run with the same versions of the packages."""
    pictures = [*_png(), *_jpeg(), *_webp(), *_tiff(), *_bmp(), *photos(), *heif()]
    return [*pictures, *_coco(), *_recipes(), *_records(), *_weights(), *_videos()]


def _deep_png(color_type: int, channels: int, before: bytes = b"") -> bytes:
    """Return a PNG file with 16 bits per sample."""
    values = np.random.default_rng(6).integers(0, 65536, (SIZE[1], SIZE[0] * channels)).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, 16, color_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")


def _png() -> list[Seed]:
    rgb, gray = picture(), picture().convert("L")
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a title")
    text.add_text("Comment", "long " * 200, zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    text.add(b"gAMA", struct.pack(">I", 45455))
    text.add(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    made = {
        "bilevel": saved(rgb.convert("1"), "PNG"),
        "gray": saved(gray, "PNG"),
        "gray 2 bits": saved(gray.quantize(4), "PNG", bits=2),
        "gray alpha": saved(with_alpha().convert("LA"), "PNG"),
        "palette": saved(rgb.quantize(50), "PNG"),
        "palette with transparency": saved(rgb.quantize(50), "PNG", transparency=3),
        "RGB": saved(rgb, "PNG", dpi=(300, 300)),
        "RGB with a key color": saved(rgb, "PNG", transparency=(9, 9, 9)),
        "RGB with everything": saved(rgb, "PNG", pnginfo=text, exif=exif_block(), icc_profile=icc_profile()),
        "RGBA": saved(with_alpha(), "PNG", exif=exif_block(3)),
        "16 bit gray": _deep_png(0, 1),
        "16 bit gray alpha": _deep_png(4, 2),
        "16 bit RGB": _deep_png(2, 3, png_chunk(b"sRGB", b"\0")),
        "16 bit RGBA": _deep_png(6, 4, png_chunk(b"tEXt", b"Title\0a title")),
        "animation": saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)], duration=50),
    }
    return [Seed("PNG", name, {"picture.png": data}) for name, data in made.items()]


def _jpeg() -> list[Seed]:
    rgb, gray = picture(), picture().convert("L")
    thumbnail = Image.Exif()
    thumbnail[0x0112] = 6
    thumbnail.get_ifd(1).update({0x0103: 6, 0x0201: 0, 0x0202: 0})
    made = {
        "gray": saved(gray, "JPEG", quality=90),
        "4:4:4": saved(rgb, "JPEG", subsampling=0, dpi=(300, 300)),
        "4:2:2": saved(rgb, "JPEG", subsampling=1, optimize=True),
        "4:2:0": saved(rgb, "JPEG", subsampling=2, comment=b"a comment"),
        "progressive": saved(rgb, "JPEG", progressive=True),
        "progressive 4:4:4 with restarts": saved(rgb, "JPEG", progressive=True, subsampling=0, restart_marker_blocks=2),
        "restarts": saved(rgb, "JPEG", restart_marker_rows=1),
        "metadata": saved(rgb, "JPEG", exif=exif_block(), icc_profile=icc_profile(), xmp=b"<x:xmpmeta/>"),
        "CMYK": saved(rgb.convert("CMYK"), "JPEG"),
        "R, G and B": saved(rgb, "JPEG", keep_rgb=True),
        "quality 100": saved(rgb, "JPEG", quality=100, exif=exif_block(8)),
        "larger": saved(picture(160, 120), "JPEG", quality=60),
    }
    kinds = [Seed("JPEG", name, {"picture.jpg": data}) for name, data in made.items()]
    kinds += [Seed("JPEG coefficients", name, {"picture.jpg": made[name]}) for name in made if name != "CMYK"]
    return kinds


def _webp() -> list[Seed]:
    rgb, alpha = picture(), with_alpha()
    made = {
        "lossy": saved(rgb, "WEBP"),
        "lossless": saved(rgb, "WEBP", lossless=True),
        "alpha": saved(alpha, "WEBP"),
        "lossless alpha": saved(alpha, "WEBP", lossless=True, exact=True),
        "metadata": saved(rgb, "WEBP", exif=exif_block(), icc_profile=icc_profile(), xmp=b"<x:xmpmeta/>"),
        "animation": saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)], duration=40),
    }
    return [Seed("WebP", name, {"picture.webp": data}) for name, data in made.items()]


def _with_tifffile(values: np.ndarray, **options: Any) -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, software=False, **options)
    return file.getvalue()


def _tiff() -> list[Seed]:
    rgb, gray, alpha = picture(), picture().convert("L"), with_alpha()
    rng = np.random.default_rng(7)
    deep = rng.integers(0, 65536, (SIZE[1], SIZE[0], 4)).astype(np.uint16)
    tags = {"exif": exif_block()[6:], "icc_profile": icc_profile(), "dpi": (300, 300)}
    made = {
        "raw": saved(rgb, "TIFF", **tags),
        "LZW": saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflate": saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "packbits": saved(gray, "TIFF", compression="packbits"),
        "JPEG": saved(rgb, "TIFF", compression="jpeg"),
        "fax": saved(gray.convert("1"), "TIFF", compression="group4"),
        "bilevel": saved(gray.convert("1"), "TIFF"),
        "palette": saved(rgb.quantize(40), "TIFF"),
        "gray alpha": saved(alpha.convert("LA"), "TIFF"),
        "RGBA": saved(alpha, "TIFF", compression="tiff_lzw"),
        "CMYK": saved(rgb.convert("CMYK"), "TIFF"),
        "16 bit gray": _with_tifffile(deep[..., 0]),
        "16 bit RGB": _with_tifffile(deep[..., :3], photometric="rgb"),
        "16 bit RGB, large end first": _with_tifffile(deep[..., :3], photometric="rgb", byteorder=">"),
        "16 bit RGBA": _with_tifffile(deep, photometric="rgb", extrasamples=["unassalpha"]),
        "16 bit planes": _with_tifffile(np.moveaxis(deep[..., :3], -1, 0), photometric="rgb", planarconfig="separate"),
        "16 bit gray alpha": _with_tifffile(deep[..., :2], photometric="minisblack", extrasamples=["unassalpha"]),
        "tiles": _with_tifffile(np.asarray(rgb), photometric="rgb", tile=(16, 16), compression="zlib", predictor=True),
        "BigTIFF": _with_tifffile(np.asarray(rgb), photometric="rgb", bigtiff=True, rowsperstrip=8),
        "white is zero": _with_tifffile(np.asarray(gray), photometric="miniswhite"),
        "pages": saved(rgb, "TIFF", save_all=True, append_images=[rgb.rotate(180), rgb]),
    }
    return [Seed("TIFF", name, {"picture.tif": data}) for name, data in made.items()]


def _bmp() -> list[Seed]:
    rgb = picture()
    made = {
        "bilevel": saved(rgb.convert("1"), "BMP"),
        "gray": saved(rgb.convert("L"), "BMP"),
        "palette": saved(rgb.quantize(200), "BMP"),
        "RGB": saved(rgb, "BMP", dpi=(300, 300)),
        "RGBA": saved(with_alpha(), "BMP"),
    }
    return [Seed("BMP", name, {"picture.bmp": data}) for name, data in made.items()]


def _coco() -> list[Seed]:
    images = [{"id": n, "file_name": f"{n}.png", "height": 20, "width": 30} for n in range(3)]
    categories = [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog", "supercategory": "animal"}]

    def annotation(number: int, image: int, **more: Any) -> dict[str, Any]:
        about = {"id": number, "image_id": image, "category_id": 1, "bbox": [2, 3, 10, 8.5], "area": 85, "iscrowd": 0}
        return {**about, "segmentation": [[2, 3, 12, 3, 12, 11.5, 2, 11.5]], **more}

    counts = {"size": [20, 30], "counts": [40, 5, 15, 5, 535]}
    made = {
        "polygons": [annotation(1, 0), annotation(2, 1, category_id=7)],
        "runs": [annotation(1, 0, segmentation=counts, iscrowd=1), annotation(5, 2)],
        "coded runs": [annotation(1, 2, segmentation={"size": [20, 30], "counts": "X15g00000o0"})],
        "boxes alone": [{k: v for k, v in annotation(1, 0).items() if k != "segmentation"}],
    }
    pictures = {f"{n}.png": saved(Image.new("L", (30, 20)), "PNG") for n in range(3)}
    return [
        Seed(
            "COCO JSON",
            name,
            {
                "annotations.json": json.dumps(
                    {"info": {"year": 2026}, "images": images, "annotations": entries, "categories": categories}
                ).encode(),
                **pictures,
            },
        )
        for name, entries in made.items()
    ]


def _recipes() -> list[Seed]:
    return [Seed("recipe", name, {"recipe.toml": path.read_bytes()}) for name, path in shipped_recipes().items()]


def _records() -> list[Seed]:
    run = {"recipe": load_recipe("general").model_dump(mode="json"), "status": "finished", "data": "data", "seconds": 1}
    statistics = (Path(str(files("passband"))) / "data" / "cubes" / "statistics" / "imagenet-4.json").read_bytes()
    return [
        Seed("run record", "general", {"run.json": json.dumps(run).encode()}),
        Seed("statistics", "imagenet-4", {"statistics.json": statistics}),
    ]


def _weights() -> list[Seed]:
    import torch

    from passband.models import build_model

    networks = {
        "sfnet": {"width": 16, "depth": 1},
        "dct-resnet18": {"width": 8, "classes": 2},
        "unet": {"width": 4},
    }
    found = []
    for name, numbers in networks.items():
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            build_model(name, **numbers).save_pretrained(folder)  # type: ignore[operator]
            content = {part: (Path(folder) / part).read_bytes() for part in ("model.safetensors", "config.json")}
        found.append(Seed("weights", name, content))
    file = io.BytesIO()
    torch.save({"model": build_model("sfnet", **networks["sfnet"]).state_dict()}, file)
    found.append(Seed("pickle", "sfnet", {"weights.pkl": file.getvalue()}))
    return found


def _videos() -> list[Seed]:
    made = {
        "clip.mp4": ("libx264", "yuv420p", "aac", "mov_text"),
        "clip.mov": ("libx264", "yuv422p", "aac", None),
        "clip.mkv": ("libx264", "yuv420p", "aac", "subrip"),
        "ffv1.mkv": ("ffv1", "yuv444p", "flac", None),
        "clip.webm": ("libvpx-vp9", "yuv420p", "libopus", None),
        "clip.avi": ("mpeg4", "yuv420p", "mp2", None),
        "mjpeg.avi": ("mjpeg", "yuvj420p", "pcm_s16le", None),
        "clip.ts": ("mpeg2video", "yuv420p", "mp2", None),
    }
    return [
        Seed(f"video {Path(name).suffix}", codecs[0], {name: _video(name, *codecs)}) for name, codecs in made.items()
    ]


def _video(name: str, codec: str, pixels: str, sound: str, subtitles: str | None) -> bytes:
    """Return a clip of eight frames with sound."""
    import av

    frame = np.asarray(picture(64, 48))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as out:
            video: Any = out.add_stream(codec, rate=25, options={"threads": "1"})
            video.width, video.height, video.pix_fmt = 64, 48, pixels
            audio: Any = out.add_stream(sound, rate=48000)
            audio.codec_context.layout = "mono"
            text = out.add_mux_stream(subtitles, time_base=Fraction(1, 1000)) if subtitles else None
            for number in range(8):
                shown = av.VideoFrame.from_ndarray(np.roll(frame, 3 * number, 1)).reformat(format=pixels)
                shown.pts, shown.time_base = number, Fraction(1, 25)
                out.mux(video.encode(shown))
            out.mux(video.encode())
            tone = (8000 * np.sin(np.arange(15360) / 20)).astype(np.int16)[None]
            samples = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
            resampler = av.AudioResampler(
                audio.codec_context.format, "mono", 48000, frame_size=audio.codec_context.frame_size or 1152
            )
            for part in [*resampler.resample(samples), *resampler.resample(None)]:
                out.mux(audio.encode(part))
            out.mux(audio.encode())
            if text is not None:
                packet = av.Packet(b"\0\5hello" if subtitles == "mov_text" else b"hello")
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = 0
                packet.duration = 200
                out.mux(packet)
        return path.read_bytes()
