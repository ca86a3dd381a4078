"""Values that a prompt may hold: names, numbers, paths, in any script. None can be guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CONSONANTS = "bcdfghjklmnpqrstvwxz"
VOWELS = "aeiouy"
DIGITS = "0123456789"

COMMON = (
    "time year people way day man thing woman life child world school state family student group"
    " country problem hand part place case week company system program question work number night"
    " point home water room mother area money story fact month lot right study book eye job word"
    " business issue side kind head house service friend father power hour game line end member law"
    " car city name president team minute idea body information back parent face others level "
    "office"
    " door health person art war history party result change morning reason research girl guy "
    "moment"
    " air teacher force education red blue green small large old new good long great little own "
    "other"
    " big high different next early young important few public bad same able paper cup lamp table"
    " river stone bread milk tree bird cloud rain snow train boat bridge key glass window garden"
    " winter summer meeting report order invoice ticket update lunch dinner music song letter phone"
    " run walk read write send open close start stop find keep give take make look want need ask "
    "tell"
    " the a of to in for on with at from by about into over after cat dog fish horse sheep"
    " coffee tea sugar salt apple banana orange server harbour market museum station engine signal"
).split()
PLACES = (
    "Paris London Rome Madrid Berlin Tokyo Oslo Lima Cairo Delhi Boston Chicago Denver Seattle"
    " Amsterdam Vienna Prague Lisbon Dublin Athens Helsinki Stockholm Warsaw Budapest Zurich Geneva"
    " Nairobi Lagos Mumbai Seoul Beijing Shanghai Sydney Toronto Montreal Havana Quito Bogota Kyiv"
    " Istanbul Dubai Singapore Bangkok Hanoi Manila Hamburg Munich Milan Naples Porto Seville"
).split()
FIRST = (
    "Anna Ben Clara David Emma Frank Greta Hans Ilse Jonas Karen Liam Maria Nils Olga Peter Rosa"
    " Sara Tom Uma Vera Walter Yara Zoe Alice Bob Carol Dan Eve Lena Paul Mia Noah Lucas Ada Alan"
    " John Jane Jim Kate Omar Fatima Wei Yuki Priya Raj Ivan Elena Pedro Lucia Ahmed Chen"
).split()
_SCRIPTS = (
    (0x4E00, 0x9FA0),
    (0x4E00, 0x5E00),
    (0x3042, 0x3094),
    (0x30A1, 0x30F7),
    (0xAC00, 0xD7A0),
    (0x0410, 0x0450),
    (0x03B1, 0x03CA),
    (0x0627, 0x063B),
    (0x05D0, 0x05EB),
    (0x0905, 0x0930),
    (0x0E01, 0x0E2F),
)
_ACCENTED = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýßœšžğłńśźčřůőű"
_EMOJI = (0x1F300, 0x1F640)


def letters(random: Random) -> str:
    """Return a word of random letters."""
    return "".join(random.choices(LETTERS, k=random.randint(2, 9)))


def syllables(random: Random) -> str:
    """Return a word that can be pronounced and means nothing."""
    return "".join(
        random.choice(CONSONANTS) + random.choice(VOWELS) + random.choice(("", "", "n", "r", "s"))
        for _ in range(random.randint(1, 4))
    )


def word(random: Random) -> str:
    """Return a word, known or not."""
    return random.choice((letters, syllables, syllables, common))(random)


def common(random: Random) -> str:
    """Return an English word."""
    return random.choice(COMMON)


def phrase(random: Random) -> str:
    """Return one to five words."""
    one = random.choice((word, common, common))
    return " ".join(one(random) for _ in range(random.randint(1, 5)))


def first_name(random: Random) -> str:
    """Return a first name, mostly made up."""
    if random.random() < 0.4:
        return random.choice(FIRST)
    return syllables(random).capitalize()


def name(random: Random) -> str:
    """Return the name of a person."""
    if random.random() < 0.35:
        return first_name(random)
    if random.random() < 0.1:
        return accented(random).capitalize() + " " + syllables(random).capitalize()
    return first_name(random) + " " + random.choice((syllables, letters))(random).capitalize()


def place(random: Random) -> str:
    """Return the name of a place, known or not."""
    if random.random() < 0.35:
        return random.choice(PLACES)
    one = " ".join(syllables(random).capitalize() for _ in range(random.choice((1, 1, 1, 2))))
    if random.random() < 0.15:
        one += ", " + "".join(random.choices(LETTERS.upper(), k=2))
    return one


def organisation(random: Random) -> str:
    """Return the name of a company."""
    kind = random.choice(("Group", "Ltd", "GmbH", "Inc", "Labs", "Bank", "Works", "Foods"))
    return f"{syllables(random).capitalize()} {kind}"


def digits(random: Random) -> str:
    """Return a string of digits, often with repetitions."""
    size = random.choice((2, 3, 4, 4, 5, 6, 7, 8, 8, 10, 12))
    few = random.choices(DIGITS, k=random.choice((2, 3, 10, 10, 10, 10, 10, 10)))
    return "".join(random.choices(few, k=size))


def integer(random: Random) -> str:
    """Return an integer as JSON writes it."""
    if random.random() < 0.3:
        return str(random.randint(0, 20))
    text = digits(random).lstrip("0")[:12] or "0"
    return "-" + text if random.random() < 0.08 and text != "0" else text


def small(random: Random) -> str:
    """Return an integer of one to three digits."""
    return str(random.randint(0, random.choice((9, 20, 99, 999))))


def decimal(random: Random) -> str:
    """Return a number with a point."""
    whole = random.choice((small, small, integer))(random)
    return whole + "." + "".join(random.choices(DIGITS, k=random.randint(1, 5)))


def code(random: Random) -> str:
    """Return something like an order number."""
    parts = [
        "".join(random.choices(alphabet, k=random.randint(1, 5)))
        for alphabet in random.choices((DIGITS, LETTERS, LETTERS.upper(), DIGITS + "abcdef"), k=3)
    ]
    return random.choice("-_./:# ").join(parts[: random.randint(2, 3)])


def token(random: Random) -> str:
    """Return a long string without meaning."""
    alphabet = random.choice((DIGITS + "abcdef", LETTERS + LETTERS.upper() + DIGITS, LETTERS))
    return "".join(random.choices(alphabet, k=random.randint(5, 16)))


def email(random: Random) -> str:
    """Return an address."""
    user = random.choice((word, letters, syllables))(random)
    if random.random() < 0.4:
        user += random.choice("._-") + random.choice((word, small))(random)
    return (
        f"{user}@{syllables(random)}.{random.choice(('com', 'org', 'net', 'io', 'de', 'example'))}"
    )


def path(random: Random) -> str:
    """Return the path of a file."""
    parts = [random.choice((word, syllables, code))(random) for _ in range(random.randint(1, 3))]
    root = random.choice(("/", "/", "", "./", "~/", "/tmp/", "/home/", "C:/"))  # noqa: S108 - a word
    return (
        root
        + "/".join(parts).replace(" ", "_")
        + random.choice((".txt", ".py", ".csv", ".json", ".md", ""))
    )


def url(random: Random) -> str:
    """Return an address of the web."""
    return f"https://{syllables(random)}.{random.choice(('com', 'org', 'io'))}/{word(random)}"


def date(random: Random) -> str:
    """Return a date."""
    year, month, day = random.randint(1900, 2099), random.randint(1, 12), random.randint(1, 28)
    return random.choice(
        (f"{year}-{month:02}-{day:02}", f"{day}.{month}.{year}", f"{month}/{day}/{year}")
    )


def clock(random: Random) -> str:
    """Return a time of the day."""
    return f"{random.randint(0, 23)}:{random.randint(0, 59):02}"


def accented(random: Random) -> str:
    """Return a word of letters with accents among others."""
    return "".join(random.choices(_ACCENTED + LETTERS, k=random.randint(3, 8)))


def foreign(random: Random) -> str:
    """Return a word of a script other than Latin."""
    low, high = random.choice(_SCRIPTS)
    text = "".join(chr(random.randrange(low, high)) for _ in range(random.randint(2, 8)))
    return text if random.random() < 0.85 else text + " " + foreign(random)


def emoji(random: Random) -> str:
    """Return pictures."""
    return "".join(chr(random.randrange(*_EMOJI)) for _ in range(random.randint(1, 3)))


def unicode(random: Random) -> str:
    """Return a text beyond ASCII."""
    return random.choice((foreign, foreign, foreign, accented, emoji))(random)


def repeated(random: Random) -> str:
    """Return a text of few different characters."""
    few = random.choices(LETTERS + DIGITS, k=random.randint(1, 3))
    return "".join(random.choices(few, k=random.randint(3, 12)))


TEXTS: tuple[Callable[[Random], str], ...] = (
    word,
    letters,
    syllables,
    phrase,
    name,
    place,
    organisation,
    code,
    token,
    email,
    path,
    url,
    date,
    clock,
    unicode,
    unicode,
    digits,
    digits,
    decimal,
    integer,
    word,
    phrase,
    name,
)


def text(random: Random) -> str:
    """Return a value of any kind."""
    return random.choice(TEXTS)(random)


def number(random: Random) -> str:
    """Return a number of any kind, as JSON writes it."""
    return random.choice((integer, integer, decimal, small))(random)
