from hypothesis import settings

# The same examples in every run: a rare failure shall not meet somebody else's change.
settings.register_profile("poolwright", deadline=None, database=None, max_examples=80, derandomize=True)
settings.load_profile("poolwright")
