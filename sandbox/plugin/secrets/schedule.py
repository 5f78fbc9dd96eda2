"""When a rotation is due, by AWS's rules for `AutomaticallyAfterDays` and `ScheduleExpression`.

Windows open on the hour, UTC; one that is given in days opens at midnight and, without a Duration,
closes with that day. https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
"""
import datetime
import re

from ..world import Fault

HOUR, DAY = 3600, 86400
_RATE = re.compile(r"rate\((\d+) (hours?|days?)\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_DURATION = re.compile(r"(\d+)h")
_MONTHS = {name: number for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
# AWS counts weekdays from Sunday = 1.
_WEEKDAYS = {name: number for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), 1)}
LOOK_AHEAD_DAYS = 800


def _refuse(message: str):
    raise Fault("InvalidParameterException", message)


class Schedule:
    def __init__(self, rules: dict):
        days, expression = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
        if (days is None) == (expression is None):
            _refuse("You must specify either AutomaticallyAfterDays or ScheduleExpression, and not both.")
        self.duration = self._duration(rules.get("Duration"))
        self.every = None  # seconds
        self.cron = None
        if days is not None:
            if not 1 <= days <= 1000:
                _refuse("AutomaticallyAfterDays must be between 1 and 1000.")
            self.every = days * DAY
        elif rate := _RATE.fullmatch(expression):
            count, unit = int(rate[1]), rate[2]
            if count < 1 or unit.startswith("hour") and not 4 <= count <= 23 or count > 999:
                _refuse(f"The rate {expression} is not allowed: 4 to 23 hours, or 1 to 999 days.")
            self.every = count * (HOUR if unit.startswith("hour") else DAY)
        elif cron := _CRON.fullmatch(expression):
            self.cron = _Cron(*cron.groups())
        else:
            _refuse(f"The schedule expression {expression} is neither rate(…) nor cron(…).")
        self._check_duration()

    @staticmethod
    def _duration(text: str | None) -> int | None:
        if text is None:
            return None
        match = _DURATION.fullmatch(text)
        if not match or not 1 <= int(match[1]) <= 24:
            _refuse(f"The duration {text} is not allowed: 1h to 24h.")
        return int(match[1]) * HOUR

    def _check_duration(self) -> None:
        if self.duration is None:
            return
        if self.every is not None and self.duration > self.every:
            _refuse("The rotation window must not extend into the next one.")
        if self.cron and max(self.cron.hours) * HOUR + self.duration > DAY:
            # The documentation has both readings; this is the stricter.
            _refuse("The rotation window must not extend past the end of the UTC day.")
        if self.cron and len(self.cron.hours) > 1:
            gaps = [b - a for a, b in zip(sorted(self.cron.hours), sorted(self.cron.hours)[1:])]
            if min(gaps) * HOUR < self.duration:
                _refuse("The rotation window must not extend into the next one.")

    def opens(self, last: float) -> float:
        """When the window after a rotation (or the enabling) at `last` opens."""
        if self.cron:
            return self.cron.after(last)
        if self.every % DAY == 0:
            return (last // DAY) * DAY + self.every
        return (last // HOUR) * HOUR + self.every

    def closes(self, opening: float) -> float:
        """What NextRotationDate says: "on or before this date"."""
        if self.duration is not None:
            return opening + self.duration
        if self.every is not None and self.every % DAY:
            return opening + HOUR
        return (opening // DAY + 1) * DAY - 1


class _Cron:
    def __init__(self, minute, hour, day, month, weekday, year):
        if minute != "0":
            _refuse("A rotation window opens on the hour: the minutes field must be 0.")
        if (day == "?") == (weekday == "?"):
            _refuse("Exactly one of the day-of-month and day-of-week fields must be ?.")
        self.hours = _values(hour, 0, 23, {})
        if len(self.hours) > 1 and min((b - a) % 24 for a, b in
                                       zip(sorted(self.hours), sorted(self.hours)[1:] + sorted(self.hours)[:1])) < 4:
            _refuse("A secret is rotated every four hours at most.")
        self._months = _values(month, 1, 12, _MONTHS)
        self._years = _values(year, 1970, 2199, {})
        self._day, self._weekday = day, weekday
        self._dates(datetime.date(2024, 1, 1))  # refuses what it cannot read

    def _dates(self, date: datetime.date) -> bool:
        if self._weekday == "?":
            if self._day == "L":
                return (date + datetime.timedelta(days=1)).month != date.month
            return date.day in _values(self._day, 1, 31, {})
        weekday = date.isoweekday() % 7 + 1
        if "#" in self._weekday:
            name, _, nth = self._weekday.partition("#")
            return weekday in _values(name, 1, 7, _WEEKDAYS) and (date.day - 1) // 7 + 1 == int(nth)
        if self._weekday.endswith("L") and len(self._weekday) > 1:
            return weekday in _values(self._weekday[:-1], 1, 7, _WEEKDAYS) and \
                (date + datetime.timedelta(days=7)).month != date.month
        return weekday in _values(self._weekday, 1, 7, _WEEKDAYS)

    def after(self, moment: float) -> float:
        start = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
        for offset in range(LOOK_AHEAD_DAYS):
            date = start.date() + datetime.timedelta(days=offset)
            if date.month not in self._months or date.year not in self._years or not self._dates(date):
                continue
            midnight = datetime.datetime.combine(date, datetime.time(), datetime.timezone.utc).timestamp()
            for hour in sorted(self.hours):
                if midnight + hour * HOUR > moment:
                    return midnight + hour * HOUR
        _refuse("The schedule expression never comes due.")


def _values(field: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        try:
            if span in ("*", "?"):
                begin, end = low, high
            else:
                begin = names.get(first) or int(first)
                end = (names.get(last) or int(last)) if dash else (high if step else begin)
            if not low <= begin <= end <= high:
                raise ValueError
            found.update(range(begin, end + 1, int(step or 1)))
        except ValueError:
            _refuse(f"The schedule expression's field {field} is not allowed.")
    return found
