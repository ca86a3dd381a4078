"""Things with properties, what is said of them in sentences, and how one asks for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocket_model import values

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Make = Callable[[Random], str]


@dataclass(frozen=True, slots=True)
class Property:
    """One property: its JSON type, values, what is said of it, and questions about it."""

    names: tuple[str, ...]
    type: str
    make: Make
    said: tuple[str, ...]
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of things: what they are called, and their properties."""

    titles: tuple[str, ...]
    names: tuple[str, ...]
    make: Make
    properties: tuple[Property, ...]


def _property(names: str, type_: str, make: Make, said: str, asked: str = "") -> Property:
    cut = [
        tuple(part.strip() for part in text.split("|") if part.strip()) for text in (said, asked)
    ]
    return Property(tuple(names.split()), type_, make, *cut)


def title(random: Random) -> str:
    """Return the title of a book or an event."""
    return values.phrase(random).title() if random.random() < 0.8 else values.unicode(random)


def job(random: Random) -> str:
    """Return an occupation."""
    return random.choice(
        (
            "teacher",
            "nurse",
            "engineer",
            "pilot",
            "baker",
            "data scientist",
            values.syllables(random) + "er",
        )
    )


def thing(random: Random) -> str:
    """Return something that can be bought."""
    return random.choice((values.common, values.phrase, values.word))(random)


def money(random: Random) -> str:
    """Return a price."""
    return random.choice(
        (
            values.small(random),
            values.decimal(random),
            f"{random.randint(1, 999)}.{random.randint(10, 99)}",
        )
    )


def year(random: Random) -> str:
    """Return a year."""
    return str(random.randint(1000, 2100))


SORTS = (
    Sort(
        ("Person", "PersonA", "User", "Contact", "Employee", "Customer", "People", "Individual"),
        ("name", "name", "full_name", "person"),
        values.name,
        (
            _property(
                "age years",
                "integer",
                values.small,
                "is {} years old|is {}|is aged {}|turned {}",
                "How old is {s}?|What is the age of {s}?|{s}'s age?",
            ),
            _property(
                "city town location home",
                "string",
                values.place,
                "lives in {}|is from {}|comes from {}",
                "Where does {s} live?|Which city does {s} live in?|Where is {s} from?",
            ),
            _property(
                "job occupation profession role",
                "string",
                job,
                "works as a {}|is a {}",
                "What is {s}'s job?|What does {s} do?|What is {s} by profession?",
            ),
            _property(
                "company employer organisation",
                "string",
                values.organisation,
                "works for {}|works at {}",
                "Where does {s} work?|Who does {s} work for?",
            ),
            _property(
                "email mail address",
                "string",
                values.email,
                "has the e-mail {}|can be reached at {}",
                "What is the e-mail of {s}?|How can {s} be reached?",
            ),
            _property(
                "phone telephone number",
                "string",
                values.digits,
                "has the phone number {}|can be called at {}",
                "What is the phone number of {s}?",
            ),
            _property(
                "birthday born date_of_birth",
                "string",
                values.date,
                "was born on {}",
                "When was {s} born?|What is {s}'s birthday?",
            ),
            _property(
                "height height_cm",
                "number",
                values.decimal,
                "is {} metres tall|is {} feet tall",
                "How tall is {s}?",
            ),
            _property(
                "hair_color color favourite_colour",
                "string",
                values.common,
                "has {} hair|likes {}",
                "What does {s} like?",
            ),
        ),
    ),
    Sort(
        ("Product", "Item", "Article", "Offer"),
        ("name", "product", "item", "title"),
        thing,
        (
            _property(
                "price cost amount",
                "number",
                money,
                "costs {}|costs {} euros|is sold for {}|costs ${}",
                "How much is {s}?|What does {s} cost?|What is the price of {s}?",
            ),
            _property(
                "quantity stock count",
                "integer",
                values.small,
                "is in stock {} times|is there {} times|has {} pieces left",
                "How many pieces of {s} are there?",
            ),
            _property(
                "color colour",
                "string",
                values.common,
                "is {}|has the colour {}",
                "What colour is {s}?|Which colour does {s} have?",
            ),
            _property(
                "weight weight_kg",
                "number",
                values.decimal,
                "weighs {} kg|weighs {}",
                "How much does {s} weigh?",
            ),
            _property(
                "sku id code",
                "string",
                values.code,
                "has the number {}|has the code {}",
                "What is the code of {s}?|Which number does {s} have?",
            ),
        ),
    ),
    Sort(
        ("Book", "Movie", "Song", "Film"),
        ("title", "name"),
        title,
        (
            _property(
                "author writer artist director",
                "string",
                values.name,
                "was written by {}|is by {}|was made by {}",
                "Who wrote {s}?|Who is the author of {s}?|Who made {s}?",
            ),
            _property(
                "year published release_year",
                "integer",
                year,
                "appeared in {}|was published in {}|came out in {}",
                "When did {s} appear?|When was {s} published?",
            ),
            _property(
                "pages page_count length",
                "integer",
                values.small,
                "has {} pages|is {} minutes long",
                "How many pages does {s} have?|How long is {s}?",
            ),
            _property(
                "rating score stars",
                "number",
                values.decimal,
                "has a rating of {}|was rated {}",
                "What is the rating of {s}?",
            ),
        ),
    ),
    Sort(
        ("Event", "Meeting", "CalendarEvent", "Concert", "Appointment"),
        ("title", "name", "event"),
        title,
        (
            _property(
                "date day when",
                "string",
                values.date,
                "is on {}|takes place on {}",
                "When is {s}?|On which day is {s}?",
            ),
            _property(
                "location place where room",
                "string",
                values.place,
                "takes place in {}|is in {}|is held in {}",
                "Where is {s}?|Where does {s} take place?",
            ),
            _property(
                "time start",
                "string",
                values.clock,
                "begins at {}|starts at {}",
                "When does {s} begin?|At what time does {s} start?",
            ),
            _property(
                "participants guests",
                "integer",
                values.small,
                "has {} guests|expects {} people",
                "How many guests does {s} have?",
            ),
        ),
    ),
    Sort(
        ("Company", "Organization", "Business", "Supplier"),
        ("name", "company", "organisation"),
        values.organisation,
        (
            _property(
                "founded year",
                "integer",
                year,
                "was founded in {}|exists since {}",
                "When was {s} founded?",
            ),
            _property(
                "city headquarters location",
                "string",
                values.place,
                "is based in {}|sits in {}",
                "Where is {s} based?|Where is the seat of {s}?",
            ),
            _property(
                "ceo head boss",
                "string",
                values.name,
                "is led by {}|has the boss {}",
                "Who leads {s}?|Who is the head of {s}?",
            ),
            _property(
                "employees staff size",
                "integer",
                values.integer,
                "has {} employees|employs {} people",
                "How many employees does {s} have?",
            ),
            _property(
                "product makes",
                "string",
                values.word,
                "makes {}|sells {}",
                "What does {s} make?|What does {s} sell?",
            ),
        ),
    ),
    Sort(
        ("Order", "Invoice", "Ticket", "Booking", "Receipt"),
        ("order_id", "id", "number", "invoice_number"),
        values.code,
        (
            _property(
                "customer client buyer name",
                "string",
                values.name,
                "is for {}|was placed by {}|belongs to {}",
                "Who placed {s}?|Whose is {s}?",
            ),
            _property(
                "total amount sum",
                "number",
                money,
                "comes to {}|has a total of {}|is about {} euros",
                "What is the total of {s}?|How much is {s}?",
            ),
            _property(
                "date due due_date",
                "string",
                values.date,
                "is from {}|is due on {}",
                "When is {s} due?|What is the date of {s}?",
            ),
            _property(
                "status state",
                "string",
                values.common,
                "is {}|has the status {}",
                "What is the status of {s}?",
            ),
        ),
    ),
    Sort(
        ("Place", "City", "Ship", "Harbour", "Station"),
        ("name", "place", "city"),
        values.place,
        (
            _property(
                "population inhabitants people",
                "integer",
                values.integer,
                "has {} inhabitants|has a population of {}",
                "How many people live in {s}?|What is the population of {s}?",
            ),
            _property(
                "country nation",
                "string",
                values.place,
                "lies in {}|belongs to {}",
                "In which country is {s}?|Where does {s} lie?",
            ),
            _property(
                "mayor head captain",
                "string",
                values.name,
                "has the mayor {}|is governed by {}",
                "Who is the mayor of {s}?|Who governs {s}?",
            ),
            _property(
                "code zip postcode",
                "string",
                values.digits,
                "has the code {}|has the postcode {}",
                "What is the code of {s}?",
            ),
        ),
    ),
)
