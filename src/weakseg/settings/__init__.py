"""What a user can set: one dataclass stands behind recipe, flag and API. Nothing heavy is imported here."""
