"""All formats, by name. A new one is a `Format` in the `FORMATS` of one of the modules below."""

from fuzzing import data_files, model_files, page_files, result_files, shard_files
from fuzzing.kind import Format as Format

_MODULES = (model_files, page_files, data_files, result_files, shard_files)
FORMATS: dict[str, Format] = {kind.name: kind for one in _MODULES for kind in one.FORMATS}
