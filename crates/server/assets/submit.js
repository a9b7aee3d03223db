// Sends the one form of the page. By way of the prototype: a member named "submit" would hide the form's own method.
HTMLFormElement.prototype.submit.call(document.forms[0]);
