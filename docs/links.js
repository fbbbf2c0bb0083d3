// mdBook turns each link to a Markdown file into a link to HTML, even if the file is not in the
// book. This script restores the names of such files. Once the repository has an address, set it
// here, for a book that is read outside of a checkout.
const repository = "../";

for (const link of document.querySelectorAll('main a[href^="../"]')) {
  const path = link.getAttribute("href").slice("../".length);
  link.href = repository + path.replace(/\.html(?=#|$)/, ".md");
}
