import { Stopped, call, token } from "./api.js";
import { confirmDelete } from "./confirm.js";
import { at, inSentence, say } from "./dialog.js";
import { edit } from "./editor.js";
import { showFace } from "./face.js";
import { enterToken, tokens } from "./token.js";

const limit = 24; // users in a part of the list: whole rows of one, two and three
const list = at("list");
const views = [list, at("empty"), at("failure")];

let cursors = history.state?.cursors ?? []; // those that led from the first part to this one
let next = null; // the one that leads on
let reading = null; // AbortController of the list that is being read

const nameOf = (user) => user.name || user.email || user.id;

// The list.

async function load() {
  reading?.abort();
  const mine = reading = new AbortController();
  at("paging").hidden = true;
  show(list);
  list.setAttribute("aria-busy", "true");
  list.replaceChildren(...Array.from({ length: 6 }, ghost));
  const query = new URLSearchParams({ limit });
  if (cursors.length) query.set("cursor", cursors.at(-1));
  try {
    const { data, header } = await call("GET", `users?${query}`, { signal: mine.signal });
    if (mine !== reading) return;
    if (!data.length && cursors.length) { // the last of them are gone
      go(cursors.slice(0, -1), true);
      return;
    }
    list.replaceChildren(...data.map(card));
    next = cursorOf(header("Link"));
    at("page").textContent = `Page ${cursors.length + 1}`;
    at("previous").disabled = cursors.length === 0;
    at("next").disabled = next === null;
    at("paging").hidden = cursors.length === 0 && next === null;
    show(data.length ? list : at("empty"));
  } catch (error) {
    if (error instanceof Stopped || mine !== reading) return;
    fail(error);
  } finally {
    if (mine === reading) list.setAttribute("aria-busy", "false");
  }
}

// The cursor in a Link header. The rest of the link is ignored, because a proxy may have another host
// or path for the API than the page has.
function cursorOf(links) {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(links ?? "")?.[1];
  return link && URL.canParse(link) ? new URL(link).searchParams.get("cursor") : null;
}

function show(view) {
  for (const v of views) v.hidden = v !== view;
}

function fail(error) {
  at("failure-title").textContent = error.status === 401 ? "An access token is needed" : "The users cannot be shown";
  at("failure-detail").textContent = error.status === undefined ? String(error) : error.sentence;
  at("retry").hidden = error.status === 401 || error.status === 403;
  at("failure-token").hidden = !at("retry").hidden;
  list.replaceChildren();
  show(at("failure"));
}

// Each page of the list is an entry of the browser's history. A reload stays on its page.
function go(to, instead = false) {
  cursors = to;
  history[instead ? "replaceState" : "pushState"]({ cursors }, "");
  load().then(() => scrollTo({ top: 0 }));
}

addEventListener("popstate", ({ state }) => {
  cursors = state?.cursors ?? [];
  load();
});

at("next").addEventListener("click", () => go([...cursors, next]));
at("previous").addEventListener("click", () => go(cursors.slice(0, -1)));
at("retry").addEventListener("click", load);
at("failure-token").addEventListener("click", () => (token.get() === null ? load() : enterToken()));

// The cards of users.

function card(user) {
  const element = at("user").content.firstElementChild.cloneNode(true);
  fill(element, user);
  return element;
}

function fill(element, user) {
  element.dataset.id = user.id;
  showFace(element.querySelector(".face"), user);
  element.querySelector(".face").setAttribute("aria-hidden", "true");
  element.querySelector(".name").textContent = nameOf(user);
  const email = element.querySelector(".email");
  email.firstElementChild.textContent = user.email;
  email.title = user.email;
  const [change, remove] = ["edit", "delete"].map((kind) => element.querySelector(`.${kind}`));
  change.setAttribute("aria-label", `Edit ${nameOf(user)}`);
  change.onclick = () => edit(user, (now) => {
    fill(element, user = now);
    say(`${inSentence(nameOf(now))} is saved.`);
  });
  remove.setAttribute("aria-label", `Delete ${nameOf(user)}`);
  remove.onclick = () => confirmDelete(user, () => takeOut(element, user));
}

function takeOut(element, user) {
  const neighbor = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  (neighbor?.querySelector(".delete") ?? at("heading")).focus();
  say(`${inSentence(nameOf(user))} is deleted.`);
  if (!list.childElementCount) load();
}

function ghost() {
  const element = document.createElement("li");
  element.className = "user ghost";
  element.setAttribute("aria-hidden", "true");
  element.append(...["face", "bone", "bone"].map((name) => {
    const part = document.createElement("div");
    part.className = name;
    return part;
  }));
  return element;
}

// A new user is shown at the top at once. The list has no order that would tell where else.
function add() {
  edit(null, (user) => {
    const element = card(user);
    element.classList.add("fresh");
    if (list.hidden) list.replaceChildren();
    list.prepend(element);
    show(list);
    element.scrollIntoView({ block: "nearest" });
    say(`${inSentence(nameOf(user))} is added.`);
  });
}

at("add").addEventListener("click", add);
at("add-first").addEventListener("click", add);

tokens(load);
load();
