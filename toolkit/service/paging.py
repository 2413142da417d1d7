"""Page by page through records that are listed newest first."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from itsdangerous import BadData, URLSafeSerializer

from toolkit.service.faults import InvalidPaginationToken

DEFAULT_PAGE = 100
"""Records on a page where MaxResults is left out; no request may ask for more."""


class _Numbered(Protocol):
    @property
    def seq(self) -> int: ...


Record = TypeVar("Record", bound=_Numbered)


class Pager:
    """Gives out page tokens and takes them back. They are signed, and only good for the listing that gave them out.

    Parameters
    ----------
    secret
        What tokens are signed with; the same after a restart, so that tokens live on.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def before(self, listing: str, token: str | None) -> int | None:
        """The `seq` that a page stays below; None for the first page.

        Raises
        ------
        InvalidPaginationToken
            Another listing's token, or nobody's.
        """
        if token is None:
            return None
        try:
            seq = URLSafeSerializer(self._secret, salt=listing).loads(token)
        except BadData as error:
            raise InvalidPaginationToken("NextToken: not one that this listing gave out; start without it.") from error
        return int(seq)

    def page(self, listing: str, records: Sequence[Record], limit: int) -> tuple[list[Record], str | None]:
        """The first `limit` of these records, and the token of the page after them where there are more."""
        shown = list(records[:limit])
        more = len(records) > limit
        return shown, str(URLSafeSerializer(self._secret, salt=listing).dumps(shown[-1].seq)) if more else None
