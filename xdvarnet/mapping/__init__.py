"""Mapping: from labelled observations and a reconstructor to labelled maps."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Analysis": "protocol",
        "Background": "background",
        "Lead": "lead",
        "MeanMapBackground": "background",
        "NoBackground": "background",
        "ObservedBackground": "background",
        "Observations": "protocol",
        "Reconstructor": "protocol",
        "Window": "cover",
        "Windowed": "windows",
    },
)
