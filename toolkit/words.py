"""Numbers of things in sentences."""


def counted(number: int, thing: str) -> str:
    """A number and what it counts.

    >>> counted(1, "image"), counted(2000, "judged image")
    ('1 image', '2,000 judged images')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
