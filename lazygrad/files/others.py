"""Files in forms of other programs that are not read, and not written: what they are, and what to do."""

from __future__ import annotations

__all__ = ["PYTORCH", "foreign", "other_form"]

PYTORCH = (
    "It is a file of PyTorch, in which there may be code.",
    "Read it with torch.load, and give the weights to lg.torch.load_state_dict; or save them with safetensors.",
)
_PICKLE = (
    "It is a pickle, in which there may be code.",
    "Read it where it is trusted, and write its arrays with numpy.savez or safetensors.",
)
_BEGINNINGS = {
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9": PYTORCH,  # as it was before it was an archive
    **{bytes([0x80, protocol]): _PICKLE for protocol in range(2, 6)},
    b"\x93NUMPY": (
        "It is one array of NumPy's, without a name.",
        "Read it with numpy.load, and give it to a variable: env[name] = array.",
    ),
    b"\x89HDF\r\n": (
        "It is in the form HDF5.",
        "Read it with h5py, and give the arrays to variables: env[name] = array.",
    ),
    b"\x1f\x8b": ("It is compressed by gzip.", "Unpack it first."),
}
# Suffixes that say a form which is not written, and what those who write one want.
_OF_OTHERS = {
    **dict.fromkeys([".npy"], "Several arrays in NumPy's form are an .npz."),
    **dict.fromkeys([".pt", ".pth"], "PyTorch's names and layouts are those of lg.torch.state_dict."),
    **dict.fromkeys([".pkl", ".pickle", ".joblib"], "An environment can be pickled: pickle.dump(env, file)."),
    **dict.fromkeys([".onnx"], "A compiled step is exported: step.export(path, *args)."),
    **dict.fromkeys([".h5", ".hdf5", ".keras"], "env.to_dict() has the arrays."),
    **dict.fromkeys([".gz", ".zip", ".bz2", ".xz"], "Compress it afterwards."),
    **dict.fromkeys([".safetensor"], "Did you mean '.safetensors'?"),
}


def foreign(beginning: bytes) -> tuple[str, str] | None:
    """What a file is that begins so, and what to do; None if it may be one that is read."""
    return next((said for known, said in _BEGINNINGS.items() if beginning.startswith(known)), None)


def other_form(suffix: str) -> str | None:
    """What somebody wants who gives a file this suffix, which says a form that is not written; else None."""
    return _OF_OTHERS.get(suffix)
