const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const tints = 8; // of .face in users.css

/** Shows a user's face in an element, or the initials where there is none, or none that can be shown. */
export function showFace(element, user) {
  element.textContent = initials(user.name);
  element.dataset.tint = tint(user.id || user.name);
  const source = picture(user);
  if (source) addImage(element, source, () => {});
}

/** Puts an image over the initials; takes it away, and calls failed, if it cannot be shown. */
export function addImage(element, source, failed) {
  const image = document.createElement("img");
  image.alt = ""; // the name stands beside it
  image.decoding = "async";
  image.addEventListener("error", () => { image.remove(); failed(); });
  image.src = source;
  element.append(image);
}

// The address of a user's own image, whatever host and path the link in avatar_url begins with: the API is where the page
// is. Links that the earlier service wrote lead elsewhere, and nothing of elsewhere is loaded.
function picture({ id, avatar_url: link }) {
  if (!link || !URL.canParse(link)) return "";
  const url = new URL(link);
  const own = `users/${encodeURIComponent(id)}/avatar`;
  return url.pathname.endsWith(`/${own}`) && url.searchParams.has("v") ? own + url.search : "";
}

// The first letters of the first and the last word, or what stands in their place: an emoji of many parts is one. Without a
// name there is nothing, for which users.css has a picture.
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
