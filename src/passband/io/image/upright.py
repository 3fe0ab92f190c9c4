"""Images turned upright, with all that their metadata says of how they lie."""

from dataclasses import replace

from passband.io.image.metadata.exif import icc_for, turn, upright
from passband.io.image.metadata.exif_edit import exif_density, swapped_exif
from passband.io.image.metadata.xmp import upright_xmp
from passband.io.image.types import Decoded, PictureMeta, Pixels


def upright_picture(pixels: Pixels, meta: PictureMeta, notes: tuple[str, ...] = ()) -> Decoded:
    """Turn an image as its EXIF orientation asks, and say so in its metadata.

    Args:
        pixels: as stored.
        meta: as stored; a density named by the EXIF block alone is taken from there.
        notes: what could not be taken.

    Returns:
        The image, without a profile that does not describe its pixels.
    """
    orientation, exif = upright(meta.exif) if meta.exif else (1, None)
    density, xmp = meta.density, meta.xmp
    if exif and (density is None or (density.x == density.y and density.unit == "ratio")):
        density = exif_density(exif) or density
    if orientation >= 5:
        exif = swapped_exif(exif) if exif else None
        density = density.turned() if density else None
    if orientation > 1 and xmp:
        xmp = upright_xmp(xmp)
    icc = icc_for(meta.icc, gray=pixels.shape[-1] <= 2)
    return Decoded(turn(pixels, orientation), replace(meta, exif=exif, icc=icc, density=density, xmp=xmp), notes)
