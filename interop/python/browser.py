"""A browser without JavaScript: cookies, the form of a page, and redirects until they leave the server."""

import html
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx


@dataclass
class Page:
    """Where the browser came to: a page of the server, or the address of somebody else."""

    url: str
    left: bool
    status: int = 0
    text: str = ""

    def returned(self, name):
        """A member of the address."""
        return parse_qs(urlsplit(self.url).query).get(name, [None])[0]

    def form(self):
        """Where the form goes, and what it holds already."""
        action = re.search(r'<form method="post" action="([^"]*)"', self.text)
        assert action, f"there is no form on {self.text}"
        inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', self.text)
        return html.unescape(action[1]), {name: html.unescape(value) for name, value in inputs}


class Browser:
    def __init__(self, facts):
        self.facts = facts
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(facts["issuer"]))
        self.client = httpx.Client(timeout=10, follow_redirects=False, verify=False)

    def open(self, address, form=None):
        url = address if "://" in address or ":/" in address else self.origin + address
        for _ in range(10):
            if not url.startswith(self.origin + "/"):
                return Page(url, left=True)
            method = "POST" if form else "GET"
            response = self.client.request(method, url, data=form)
            if "location" not in response.headers:
                return Page(url, False, response.status_code, response.text)
            url, form = response.headers["location"], None
        raise AssertionError("redirects without end")

    def submit(self, page, **fields):
        """Posts the form of a page with these fields filled in."""
        action, hidden = page.form()
        return self.open(action, {**hidden, **fields})

    def sign_on(self, address):
        """Opens an authorization request and gives the password when it is asked for."""
        page = self.open(address)
        if page.left or 'name="password"' not in page.text:
            return page
        return self.login(page)

    def login(self, page):
        username, password = self.facts["username"], self.facts["password"]
        return self.submit(page, action="login", username=username, password=password)
