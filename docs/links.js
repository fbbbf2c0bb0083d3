// mdBook turns each link to a Markdown file into one to HTML, also if the file is not of the book.
// Links to the repository's other files get their names back here. Once the repository has an
// address, set it here for a book that is read elsewhere than in a checkout.
const repository = "../";

for (const link of document.querySelectorAll('main a[href^="../"]')) {
  const path = link.getAttribute("href").slice("../".length);
  link.href = repository + path.replace(/\.html(?=#|$)/, ".md");
}
