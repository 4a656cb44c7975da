"""Properties of electrodes, from any ASE calculator: functions, and the command ``mhdnn properties``."""
