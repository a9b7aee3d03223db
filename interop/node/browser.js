// A browser without JavaScript: cookies, the form of a page, and redirects until they leave the server.

export class Browser {
  #cookies = new Map();

  constructor(facts) {
    this.facts = facts;
    this.origin = new URL(facts.issuer).origin;
  }

  /// Opens an address. The page is where the browser came to: one of the server, or `left` with the address of somebody else.
  async open(address, form) {
    let url = new URL(address, this.origin);
    for (let hops = 0; hops < 10; hops += 1) {
      if (url.origin !== this.origin) return { url, left: true };
      const response = await fetch(url, {
        redirect: "manual",
        signal: AbortSignal.timeout(10_000),
        headers: { cookie: [...this.#cookies].map((pair) => pair.join("=")).join("; ") },
        ...(form && { method: "POST", body: new URLSearchParams(form) }),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
        if (cookie.includes("Max-Age=0")) this.#cookies.delete(name);
        else this.#cookies.set(name, value);
      }
      const html = await response.text();
      const location = response.headers.get("location");
      if (!location) return { url, left: false, status: response.status, html };
      url = new URL(location, url);
      form = undefined;
    }
    throw new Error("redirects without end");
  }

  /// Posts the form of a page with these fields filled in.
  submit(page, fields) {
    const { action, fields: hidden } = formOf(page);
    return this.open(action, { ...hidden, ...fields });
  }

  /// Opens an authorization request and gives the password when it is asked for.
  async signOn(address) {
    const page = await this.open(address);
    if (page.left || !page.html.includes('name="password"')) return page;
    const { username, password } = this.facts;
    return this.submit(page, { action: "login", username, password });
  }
}

/// Where the form of a page goes, and what it holds already.
export function formOf({ html }) {
  const action = html.match(/<form method="post" action="([^"]*)"/)?.[1];
  if (!action) throw new Error(`there is no form on ${html}`);
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g);
  const fields = Object.fromEntries([...inputs].map(([, name, value]) => [name, text(value)]));
  return { action: text(action), fields };
}

function text(html) {
  return html.replaceAll(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
}
