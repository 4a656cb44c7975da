"""How wrong a potential may be: the error model that stands in a model file, and its calibration."""
