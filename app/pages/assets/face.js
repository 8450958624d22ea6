const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const tints = 8; // of .face in users.css

/** Shows a user's avatar in an element, or the initials if there is none or it cannot be shown. */
export function showFace(element, user) {
  element.textContent = initials(user.name);
  element.dataset.tint = tint(user.id || user.name);
  const source = picture(user);
  if (source) addImage(element, source, () => {});
}

/** Puts an image over the initials. If it cannot be shown, it is removed and failed is called. */
export function addImage(element, source, failed) {
  const image = document.createElement("img");
  image.alt = ""; // the name stands beside it
  image.decoding = "async";
  image.addEventListener("error", () => { image.remove(); failed(); });
  image.src = source;
  element.append(image);
}

// The URL of a user's avatar, relative to the page, because avatar_url may begin with another host or
// path. It is "" for links of the earlier service, which lead to other hosts: the page loads nothing
// from those.
function picture({ id, avatar_url: link }) {
  if (!link || !URL.canParse(link)) return "";
  const url = new URL(link);
  const own = `users/${encodeURIComponent(id)}/avatar`;
  return url.pathname.endsWith(`/${own}`) && url.searchParams.has("v") ? own + url.search : "";
}

// The first grapheme of the first and the last word, such as a letter or an emoji. For an empty name
// it is "", and users.css shows a picture.
function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  if (words.length > 1) words.splice(1, words.length - 2);
  return words.map((word) => [...graphemes.segment(word)][0].segment.toLocaleUpperCase()).join("");
}

function tint(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return sum % tints;
}
