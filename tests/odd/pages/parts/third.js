document.write("<p>Three</p>"); works("third");
