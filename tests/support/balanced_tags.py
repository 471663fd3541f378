"""A check that a page closes its tags."""

from html.parser import HTMLParser


class BalancedTags(HTMLParser):
    """Fails where a tag is closed that is not the innermost open one."""

    VOID = ("meta", "link", "br", "img", "wbr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
