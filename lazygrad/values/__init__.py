"""What users hand over: arrays of others, missing values, tables."""
