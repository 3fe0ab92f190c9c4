"""Makes detection sets by a seed: cut-out objects are pasted on photographs, and annotated as in COCO.

The objects and the photographs are files (`folders.CutoutFolders`), or they are drawn (`shapes.DrawnShapes`), which
needs no files. Every source keeps the objects and backgrounds of validation apart from those of training, so that
scores are those of new objects on new backgrounds. `scenes` pastes the objects of one image, and `files` writes sets.

Source: Dwibedi et al., "Cut, Paste and Learn: Surprisingly Easy Synthesis for Instance Detection", ICCV 2017.
"""

from passband.data.pasting.files import SETS, SetPlan, paste_set
from passband.data.pasting.folders import CutoutFolders
from passband.data.pasting.scenes import PARTS, ObjectSource, PastedObject, PasteSettings, Scene, paste_scene
from passband.data.pasting.shapes import DrawnShapes

__all__ = [
    "PARTS",
    "SETS",
    "CutoutFolders",
    "DrawnShapes",
    "ObjectSource",
    "PasteSettings",
    "PastedObject",
    "Scene",
    "SetPlan",
    "paste_scene",
    "paste_set",
]
