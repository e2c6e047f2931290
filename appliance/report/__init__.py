"""The risk and standards report (R5, R6): what holds now against standards, each judgement with its evidence."""
