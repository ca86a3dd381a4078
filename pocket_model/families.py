"""Kinds of tools that people give to models: how they are called, described and asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocket_model import values

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Make = Callable[[Random], str]


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter of a kind of tool: its names, its JSON type, and how values are made."""

    names: tuple[str, ...]
    type: str
    make: Make
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of tool; a request holds ``{0}``, ``{1}``, … where the values stand."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    slots: tuple[Slot, ...]
    requests: tuple[str, ...]
    replies: tuple[str, ...] = ()
    short: tuple[str, ...] = ()  # how a second request of the same kind is added to a first


def _slot(names: str, type_: str, make: Make, enum: str = "") -> Slot:
    return Slot(tuple(names.split()), type_, make, tuple(enum.split()))


def _family(
    names: str,
    descriptions: str,
    slots: tuple[Slot, ...],
    requests: str,
    *said: str,
) -> Family:
    def cut(text: str) -> tuple[str, ...]:
        return tuple(one.strip() for one in text.split("|") if one.strip())

    return Family(
        tuple(names.split()),
        cut(descriptions) or ("",),
        slots,
        cut(requests),
        *map(cut, said),
    )


def topic(random: Random) -> str:
    """Return what somebody may search for."""
    return random.choice((values.phrase, values.phrase, values.name, values.place, values.word))(
        random
    )


def message(random: Random) -> str:
    """Return a short message."""
    return " ".join(
        random.choice((values.common, values.common, values.word))(random)
        for _ in range(random.randint(2, 6))
    )


def nationality(random: Random) -> str:
    """Return what a company may be described by."""
    where = random.choice(
        (
            "Chinese",
            "Japanese",
            "Korean",
            "German",
            "French",
            "Greek",
            "small",
            "large",
            values.syllables(random).capitalize(),
        )
    )
    what = random.choice(("technology", "trading", "food", "", values.word(random)))
    return " ".join(f"{where} {what} company".split())


def script_or_name(random: Random) -> str:
    """Return a name, mostly beyond Latin script."""
    return random.choice(
        (values.foreign, values.foreign, values.unicode, values.organisation, values.name)
    )(random)


def query(random: Random) -> str:
    """Return a query of a database."""
    what = random.choice(("*", "name", "count(*)", values.letters(random)))
    ending = random.choice(
        ("", f" WHERE id = {values.integer(random)}", f" LIMIT {values.small(random)}")
    )
    return " ".join(("SELECT", what, "FROM", values.letters(random) + ending))


def currency(random: Random) -> str:
    """Return a currency."""
    return random.choice(
        ("USD", "EUR", "GBP", "JPY", "CHF", "".join(random.choices(values.LETTERS.upper(), k=3)))
    )


def style(random: Random) -> str:
    """Return a style of speaking."""
    return random.choice(
        (
            "Pirate",
            "Shakespeare",
            "cowboy",
            "robot",
            "formal",
            values.word(random),
            values.syllables(random).capitalize(),
        )
    )


_PLACE = _slot("location city place where town", "string", values.place)
_INT_A = _slot("a x first left n1 num1", "integer", values.integer)
_INT_B = _slot("b y second right n2 num2", "integer", values.integer)
_NUM_A = _slot("a x first left", "number", values.number)
_NUM_B = _slot("b y second right", "number", values.number)

FAMILIES = (
    _family(
        "get_weather weather fetch_weather current_weather get_current_weather weather_tool "
        "getWeather check_weather",
        "Get the weather at a location.|Get weather at a location.|Get the current weather"
        "|Weather of a city."
        "|Tells the weather in a place|Returns the weather for a city",
        (_PLACE,),
        "What is the weather in {0}?|What's the weather in {0}?|Weather in {0}"
        "|What is the weather like in {0}?"
        "|How is the weather in {0} today?|Tell me the weather in {0}.|weather {0}"
        "|what is the weather in {0}"
        "|Is it raining in {0}?|Do I need an umbrella in {0}?|Check the weather for {0} please"
        "|Is it cold in {0}?",
        "It's sunny.|It is raining.|{n} degrees and cloudy|Sunny, {n} degrees"
        "|It's always sunny in {0}!|cloudy"
        '|{"temperature": {n}, "sky": "clear"}|{"weather": "rain"}|Rain in {0}, {n} C',
        "and in {0}|and {0}",
    ),
    _family(
        "add my_adder_tool adder sum add_numbers plus calculate_sum add_integers addition",
        "Add two integers.|Tool that adds two integers.|Adds a and b."
        "|Returns the sum of two numbers.|Add two numbers together.",
        (_INT_A, _INT_B),
        "What is {0} + {1}|What is {0} + {1}?|Add {0} and {1}|add {0} to {1}|{0} plus {1}"
        "|Sum of {0} and {1}?|{0}+{1}"
        "|What is the sum of {0} and {1}?|What's {0} plus {1}?|Please add {0} and {1}."
        "|Calculate {0} + {1}|how much is {0} and {1}",
        '{"result": {n}}|{n}|The sum is {n}.',
        "and {0} + {1}",
    ),
    _family(
        "multiply product multiply_numbers times mul multiply_tool",
        "Multiply two numbers.|Returns the product of a and b.|Multiplies two integers.",
        (_INT_A, _INT_B),
        "What is {0} * {1}?|Multiply {0} by {1}|multiply {0} and {1}|{0} times {1}"
        "|What is {0} times {1}?|{0}*{1}"
        "|Product of {0} and {1}|Calculate {0} * {1}|What's {0} x {1}",
        '{"result": {n}}|{n}|The product is {n}.',
        "and {0} * {1}",
    ),
    _family(
        "subtract minus difference sub",
        "Subtract b from a.|Returns the difference of two numbers.",
        (_NUM_A, _NUM_B),
        "What is {0} - {1}?|{0} minus {1}|Calculate {0} - {1}|The difference of {0} and {1}?",
        '{n}|{"result": {n}}',
    ),
    _family(
        "divide quotient division div",
        "Divide a by b.|Returns the quotient of two numbers.",
        (_NUM_A, _NUM_B),
        "What is {0} / {1}?|Divide {0} by {1}|{0} divided by {1}|Calculate {0}/{1}",
        '{n}|{"result": {n}}',
    ),
    _family(
        "power exponent pow exponentiate",
        "Raise base to the exponent.|Exponentiate a base by a power.",
        (
            _slot("base a x", "number", values.number),
            _slot("exponent b power n", "integer", values.small),
        ),
        "What is {0} to the power of {1}?|{0} ^ {1}|Raise {0} to {1}|{0} to the power {1}",
        "{n}",
    ),
    _family(
        "magic_function magic magic_tool secret_function mystery apply_magic transform",
        "Apply a magic function to an input.|Applies the magic function.|A magic function."
        "|Does magic with a number.",
        (_slot("input x value n number", "integer", values.integer),),
        "What is the value of {tool}({0})? Use the tool.|What is {tool}({0})?|Use {tool} on {0}"
        "|Apply {tool} to {0}"
        "|Compute the magic function of {0}|What is the magic function of {0}?"
        "|call {tool} with {0}|magic function of {0}",
        "{n}|5",
        "and {tool}({0})",
    ),
    _family(
        "square square_root sqrt factorial fibonacci double negate is_prime",
        "Computes a function of a number.|Returns the result for n.|",
        (_slot("n x number value", "integer", values.integer),),
        "What is {tool} of {0}?|{tool} of {0}|Compute {tool} {0}|{tool}({0})"
        "|Calculate the {tool} of {0}",
        "{n}",
        "and of {0}",
    ),
    _family(
        "search web_search google search_web find_online tavily_search duckduckgo_search "
        "internet_search",
        "Search the web.|Look up things online.|Searches the internet for a query."
        "|A search engine. Useful for questions about current events.",
        (_slot("query q search_query text question", "string", topic),),
        "Search for {0}|Search the web for {0}|search {0}|Google {0}|Find information about {0}"
        "|Look up {0}"
        "|Please search for '{0}'|Look up {0} online|Search for \"{0}\"",
        "No results for {0}.|{m}|Found 3 pages about {0}.",
        "and for {0}",
    ),
    _family(
        "send_email email send_mail write_email mail",
        "Send an email.|Sends an e-mail to somebody.|Send a mail to a recipient",
        (
            _slot("to recipient address email", "string", values.email),
            _slot("subject title", "string", message),
            _slot("body text content message", "string", message),
        ),
        "Send an email to {0} with subject '{1}' and body '{2}'|Email {0}, subject: {1}, body: {2}"
        "|Write a mail to {0} with the subject {1}: {2}"
        '|Send {0} an e-mail with subject "{1}" and text "{2}"',
        "Sent.|Email sent to {0}.|ok",
    ),
    _family(
        "send_message message notify send_sms text_user post_message",
        "Send a message to somebody.|Sends a text message.",
        (
            _slot("to recipient user name", "string", values.name),
            _slot("text message body content", "string", message),
        ),
        "Send {0} the message '{1}'|Tell {0}: {1}|Message {0} that {1}|Send a message to {0}: {1}"
        "|Text {0} '{1}'|Notify {0}: {1}",
        "Sent.|Message delivered to {0}.|ok",
    ),
    _family(
        "read_file open_file get_file cat file_reader load_file",
        "Read a file.|Returns the content of a file.|Read the file at a path.",
        (_slot("path file filename file_path", "string", values.path),),
        "Read {0}|Read the file {0}|What is in {0}?|Show me the file {0}|Open {0}|cat {0}"
        "|Show the content of {0}",
        "{m}|hello|File not found: {0}",
        "and {0}",
    ),
    _family(
        "write_file save_file create_file save",
        "Write a file.|Writes text into a file.|Save content at a path.",
        (
            _slot("path file filename file_path", "string", values.path),
            _slot("content text data", "string", message),
        ),
        "Write '{1}' to {0}|Write {1} into {0}|Save '{1}' in {0}"
        "|Create the file {0} with the content '{1}'|Put \"{1}\" into the file {0}",
        "Saved.|Wrote {n} bytes to {0}.",
    ),
    _family(
        "list_files ls list_directory dir",
        "List the files of a folder.|Lists a directory.",
        (_slot("path folder directory", "string", values.path),),
        "List the files in {0}|ls {0}|What files are in {0}?|Show the folder {0}",
        '["a.txt", "b.txt"]|a.txt b.txt|empty',
    ),
    _family(
        "unicode_customer create_customer add_customer new_customer register_customer",
        "Tool for creating a customer with Unicode name.|Create a customer.|Registers a customer.",
        (
            _slot("customer_name name customer", "string", script_or_name),
            _slot("description about info", "string", nationality),
        ),
        "Create a customer named '{0}' - a {1}|Create a customer named '{0}' (Hello Group) - a {1}"
        "|Create a customer named '{0}' ({s}) - a {1}"
        "|Add the customer {0}, a {1}|Register '{0}', a {1}|New customer '{0}': {1}"
        "|Create the customer '{0}' with the description '{1}'",
        "Created customer: {0} - {1}|Created customer {0}.|ok",
    ),
    _family(
        "create_user add_user register_user new_user",
        "Create a user.|Adds a user account.",
        (
            _slot("name username user", "string", values.name),
            _slot("email mail address", "string", values.email),
            _slot("age years", "integer", values.small),
        ),
        "Create a user {0} with email {1} and age {2}|Add user {0}, {1}, {2} years old"
        "|Register {0} ({1}), age {2}",
        'User {0} created.|created|{"id": {n}}',
    ),
    _family(
        "get_user find_user lookup_user user_info fetch_user",
        "Get a user by id.|Looks up a user.|Returns information about a user.",
        (_slot("user_id id uid", "integer", values.integer),),
        "Who is user {0}?|Get user {0}|Look up the user with id {0}|Show user number {0}"
        "|Find user {0}",
        '{"name": "{p}"}|{p}|Not found',
        "and {0}",
    ),
    _family(
        "get_order order_status track_order lookup_order check_order",
        "Get the status of an order.|Tracks an order.|Returns the state of an order",
        (_slot("order_id id number order", "string", values.code),),
        "Where is my order {0}?|What is the status of order {0}?|Track {0}|Status of order {0}"
        "|Look up order {0}|Check my order {0}",
        'shipped|Order {0} is on its way.|{"status": "shipped"}',
        "and {0}",
    ),
    _family(
        "cancel_order delete_order refund_order",
        "Cancel an order.|Cancels an order for a reason.",
        (
            _slot("order_id id order", "string", values.code),
            _slot("reason why note", "string", message),
        ),
        "Cancel order {0} because {1}|Cancel {0}: {1}|Please cancel the order {0}, reason: {1}",
        "Cancelled.|Order {0} is cancelled.",
    ),
    _family(
        "convert_currency exchange currency_converter convert",
        "Convert money.|Converts an amount from one currency to another.",
        (
            _slot("amount value sum", "number", values.number),
            _slot("from_currency source from base", "string", currency),
            _slot("to_currency target to", "string", currency),
        ),
        "Convert {0} {1} to {2}|How much is {0} {1} in {2}?|Change {0} {1} into {2}|{0} {1} in {2}",
        '{n}|{n} {2}|{"amount": {n}}',
    ),
    _family(
        "translate translate_text translator",
        "Translate text.|Translates a text into a language.",
        (
            _slot("text sentence phrase", "string", message),
            _slot(
                "target_language language lang to",
                "string",
                lambda r: r.choice(
                    (
                        "French",
                        "German",
                        "Spanish",
                        "Italian",
                        "Japanese",
                        values.syllables(r).capitalize(),
                    )
                ),
            ),
        ),
        "Translate '{0}' to {1}|Translate \"{0}\" into {1}|How do you say '{0}' in {1}?"
        "|Say '{0}' in {1}|Translate into {1}: {0}",
        "{m}|bonjour",
    ),
    _family(
        "set_timer timer start_timer countdown set_alarm",
        "Set a timer.|Starts a timer.|Sets a timer in minutes.",
        (_slot("minutes duration seconds time", "integer", values.small),),
        "Set a timer for {0} minutes|Timer for {0} minutes|Wake me in {0} minutes"
        "|Start a timer of {0}|Remind me in {0} minutes|Set a timer for {0} seconds",
        "Timer set.|ok",
        "and one for {0}",
    ),
    _family(
        "book_flight find_flight search_flights flights",
        "Book a flight.|Finds flights between cities.",
        (
            _slot("origin from source departure", "string", values.place),
            _slot("destination to target arrival", "string", values.place),
            _slot("date day when", "string", values.date),
        ),
        "Book a flight from {0} to {1} on {2}|Find a flight from {0} to {1} on {2}"
        "|I want to fly from {0} to {1} on {2}|Fly to {1} from {0} on {2}",
        "Booked.|Flight {n} to {1}|No flights.",
    ),
    _family(
        "create_event add_event schedule_meeting calendar book_meeting",
        "Create an event in the calendar.|Schedules a meeting.",
        (
            _slot("title name subject event", "string", message),
            _slot("date day when", "string", values.date),
            _slot("time start at", "string", values.clock),
        ),
        "Create the event '{0}' on {1} at {2}|Schedule {0} for {1} at {2}"
        "|Put '{0}' into my calendar: {1}, {2}|Book a meeting '{0}' on {1} at {2}",
        "Created.|Event {0} created.",
    ),
    _family(
        "get_time current_time time_in what_time clock world_clock",
        "Get the time in a place.|Current time of a time zone.",
        (_slot("timezone city location zone place", "string", values.place),),
        "What time is it in {0}?|Time in {0}?|What's the time in {0}?"
        "|Tell me the current time in {0}|current time {0}",
        "12:30|It is {n} o'clock.",
        "and in {0}",
    ),
    _family(
        "greeting_generator greet say_hello generate_greeting greeting",
        "Generate a greeting in a particular style of speaking.|Generates a greeting."
        "|Greet in a style.",
        (_slot("answer_style style manner tone", "string", style),),
        "Using the tool, generate a {0} greeting.|Generate a {0} greeting|Greet me like a {0}"
        "|Make a greeting in {0} style|Use the tool to say hello in the style of {0}",
        "Ahoy!|hello matey",
    ),
    _family(
        "color_picker pick_color set_color favourite_color",
        "Input your fav color and get a random fact about it.|Sets a colour.|Pick a color",
        (
            _slot(
                "fav_color color colour",
                "string",
                lambda r: r.choice(("red", "blue", "purple", "green", "teal", values.word(r))),
            ),
        ),
        "My favourite colour is {0}, tell me a fact|I like {0}|Pick {0}|Set the color to {0}"
        "|A fact about {0} please|My fav color is {0}",
        "That's a great pick!|{0} is nice.",
    ),
    _family(
        "run_python python python_repl execute_code exec_code",
        "Run Python code.|Executes Python.|A Python shell.",
        (
            _slot(
                "code source script command",
                "string",
                lambda r: r.choice(
                    (
                        f"print({values.integer(r)})",
                        f"{values.small(r)} * {values.small(r)}",
                        f"len('{values.word(r)}')",
                        f"{values.letters(r)} = {values.number(r)}",
                        f"import {values.letters(r)}",
                    )
                ),
            ),
        ),
        "Run {0}|Execute the code {0}|Run this Python: {0}|python: {0}|What does {0} print?",
        "{n}",
    ),
    _family(
        "run_command shell bash terminal execute",
        "Run a shell command.|Executes a command.",
        (
            _slot(
                "command cmd line",
                "string",
                lambda r: r.choice(
                    (
                        f"ls {values.path(r)}",
                        f"cat {values.path(r)}",
                        f"echo {values.word(r)}",
                        f"rm -r {values.path(r)}",
                        f"git {values.letters(r)}",
                        f"kill -9 {values.digits(r)}",
                    )
                ),
            ),
        ),
        "Run {0}|Execute {0}|Run the command {0}|Run `{0}`|shell: {0}",
        "ok|{m}",
    ),
    _family(
        "query_database sql run_query execute_sql sql_db_query",
        "Run a SQL query.|Executes SQL.",
        (
            _slot(
                "query sql statement",
                "string",
                query,
            ),
        ),
        "Run {0}|Run the query {0}|Execute {0}|SQL: {0}",
        "[]|{n}|{m}",
    ),
    _family(
        "get_stock_price stock_price ticker quote price_of",
        "Get the price of a stock.|Stock price by ticker.",
        (
            _slot(
                "symbol ticker stock",
                "string",
                lambda r: "".join(r.choices(values.LETTERS.upper(), k=r.randint(2, 5))),
            ),
        ),
        "What is the price of {0}?|Stock price of {0}|How is {0} doing?|Price of {0}?|quote {0}"
        "|What is {0} trading at?",
        '{n}|{0} is at {n}.|{"price": {n}}',
        "and {0}",
    ),
    _family(
        "turn_on switch_on light_on enable activate",
        "Turn a device on.|Switches something on.",
        (_slot("device name room light", "string", values.phrase),),
        "Turn on the {0}|Switch the {0} on|Turn the {0} on please|Activate the {0}|enable {0}",
        "done|The {0} is on.",
    ),
    _family(
        "set_temperature thermostat heat set_heating",
        "Set the temperature of a room.|Controls the heating.",
        (
            _slot("room place location", "string", values.common),
            _slot("degrees temperature value celsius", "number", values.number),
        ),
        "Set the {0} to {1} degrees|Heat the {0} to {1}|Set the temperature in the {0} to {1}"
        "|Make the {0} {1} degrees warm",
        "done|ok",
    ),
    _family(
        "set_unit set_mode change_mode choose_mode",
        "Set the mode.|Chooses a mode.",
        (
            _slot(
                "mode unit level option",
                "string",
                lambda r: r.choice(("fast", "slow", "normal")),
                "fast slow normal",
            ),
        ),
        "Use the {0} mode|Switch to {0}|Set it to {0}|Make it {0}|mode {0}",
        "ok|done",
    ),
    _family(
        "convert_temperature temperature_converter to_unit",
        "Convert a temperature.|Converts degrees.",
        (
            _slot("value degrees temperature", "number", values.number),
            _slot(
                "unit target to",
                "string",
                lambda r: r.choice(("celsius", "fahrenheit", "kelvin")),
                "celsius fahrenheit kelvin",
            ),
        ),
        "Convert {0} degrees to {1}|{0} degrees in {1}|How much is {0} in {1}?",
        "{n}",
    ),
    _family(
        "transfer_money pay send_money bank_transfer transfer",
        "Transfer money.|Pays somebody.",
        (
            _slot("to recipient account payee", "string", values.name),
            _slot("amount sum value", "number", values.number),
        ),
        "Pay {0} {1}|Transfer {1} to {0}|Send {1} euros to {0}|Pay {1} dollars to {0}"
        "|Give {0} {1} euros",
        "paid|Transferred {1} to {0}.",
    ),
    _family(
        "get_balance balance account_balance check_balance",
        "Get the balance of an account.|Returns how much money is there.",
        (_slot("account account_id number iban", "string", values.digits),),
        "What is the balance of account {0}?|Balance of {0}?|How much is on account {0}?"
        "|Check the account {0}",
        '{n}|{"balance": {n}}|The balance is {n}.',
        "and of {0}",
    ),
    _family(
        "retriever search_documents knowledge_base query_engine_tool search_docs lookup_policy "
        "retrieve",
        "Search the documents.|Look up information in the knowledge base."
        "|Useful for answering questions about the documents.|Searches and returns excerpts.",
        (
            _slot(
                "query input question text", "string", lambda r: r.choice((topic, values.phrase))(r)
            ),
        ),
        "What do the documents say about {0}?|Find {0} in the documents"
        "|Search the documents for {0}|What does the policy say on {0}?"
        "|Look in the knowledge base for {0}",
        "{m}|Nothing about {0}.",
    ),
    _family(
        "echo say repeat_text print_text parrot",
        "Repeats a text.|Echo the input.|Says something.",
        (_slot("text message input content", "string", values.text),),
        "Echo {0}|Say {0} with the tool|echo '{0}'|Repeat '{0}' with the tool"
        "|Use {tool} to say {0}|Call {tool} with '{0}'",
        "{0}",
        "and {0}",
    ),
    _family(
        "reverse_string upper lower count_letters word_count length",
        "Works on a text.|Processes a string.",
        (_slot("text s string word", "string", values.text),),
        "{tool} {0}|Apply {tool} to '{0}'|Use {tool} on {0}|{tool}: {0}"
        "|What is the {tool} of '{0}'?",
        "{n}|{w}",
        "and '{0}'",
    ),
    _family(
        "transfer_to_agent handoff delegate ask_expert call_agent task",
        "Hand the task to another agent.|Asks an expert.|Delegate a task.",
        (
            _slot("agent name expert assistant", "string", values.word),
            _slot("task question request message", "string", message),
        ),
        "Ask {0} to {1}|Hand over to {0}: {1}|Delegate to {0}: {1}|Let {0} do this: {1}",
        "done|{m}",
    ),
    _family(
        "remember save_memory store_memory add_note memorize",
        "Save a note.|Remember something for later.",
        (
            _slot("key name topic title", "string", values.word),
            _slot("value text content note", "string", values.text),
        ),
        "Remember that {0} is {1}|Save {0} = {1}|Store {1} under {0}|Note {0}: {1}|Set {0} to {1}",
        "saved|ok",
    ),
    _family(
        "delete_item remove_item delete remove archive close_ticket",
        "Deletes an item.|Removes something by its id.",
        (_slot("id item_id identifier ticket", "string", values.code),),
        "Delete {0}|Remove the item {0}|Delete number {0}|Get rid of {0}|Close {0}",
        "deleted|ok|Not found",
        "and {0}",
    ),
    _family(
        "tag_item add_tags label set_labels",
        "Adds tags.|Sets the labels of an item.",
        (
            _slot("id item name", "string", values.word),
            _slot("tags labels words", "array", values.word),
        ),
        "Tag {0} with {1}|Add the tags {1} to {0}|Label {0}: {1}|Set the labels of {0} to {1}",
        "tagged|ok",
    ),
    _family(
        "sum_list average maximum sort_numbers mean",
        "Works on a list of numbers.|Computes something of many numbers.",
        (_slot("numbers values items data", "numbers", values.number),),
        "{tool} of {0}|What is the {tool} of {0}?|Compute the {tool} of {0}|Use {tool} on {0}",
        "{n}",
    ),
    _family(
        "set_flag toggle configure set_option",
        "Sets an option.|Turns an option on or off.",
        (
            _slot("option name flag setting", "string", values.word),
            _slot("enabled on active value", "boolean", lambda r: r.choice(("true", "false"))),
        ),
        "Set {0} to {1}|{0} = {1}|Set the option {0} to {1}|Configure {0}: {1}",
        "ok|done",
    ),
    _family(
        "fetch get_page open_url browse http_get download",
        "Fetch a web page.|Opens a URL.|Downloads a page.",
        (_slot("url link address", "string", values.url),),
        "Open {0}|Fetch {0}|What is on {0}?|Download {0}|Get the page {0}|Summarize {0}",
        "{m}|404",
        "and {0}",
    ),
)
NO_ARGUMENTS = (
    ("magic_function_no_args", "Calculate a magic function."),
    ("get_time", "Get the current time."),
    ("now", "Returns the current date and time."),
    ("list_users", "Lists all users."),
    ("get_location", "Where the user is."),
    ("ping", "Checks that the server lives."),
    ("random_number", "Returns a random number."),
    ("roll_dice", "Rolls a die."),
    ("stop", "Stops everything."),
    ("get_status", "Returns the status of the system."),
    ("list_tables", "Lists the tables of the database."),
    ("check_mail", "Looks for new mail."),
    ("reset", "Resets the counter."),
    ("whoami", "Returns the current user."),
    ("get_joke", "Returns a joke."),
    ("read_sensor", "Reads the sensor."),
    ("list_tools", "Lists the tools."),
)
NO_ARGUMENT_REQUESTS = (
    "What is the value of {tool}()? Use the tool.",
    "Call {tool}",
    "Use {tool}",
    "Run {tool}()",
    "Use the tool {tool}.",
    "Please call {tool} now",
    "What does {tool} return?",
    "{tool}()",
    "Execute {tool}",
    "Give me the result of {tool}",
    "{words}",
    "Please {words}",
    "{words} now",
    "Can you {words}?",
    "I want you to {words}",
)
