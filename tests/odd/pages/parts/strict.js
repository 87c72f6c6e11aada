works("own");
addEventListener("securitypolicyviolation", function (event) { if (event.blockedURI == "inline") works("kept"); });
document.documentElement.appendChild(document.createElement("script")).text = "works('never')";
