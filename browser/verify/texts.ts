/** What the page says, in the languages of src/volens/texts. The codes are those of docs/reference/ledger.md. */
const NAMES = [
  "language", "title", "lead", "file", "drop", "keys", "keysHelp", "witnesses", "witnessesHelp", "holds", "holdsMeans", "wrong", "unchecked", "notes",
  "site", "time", "logged", "event", "allowed", "refused", "entry", "signed", "seen", "given", "changed", "withdrawn", "badKeys", "unable", "none",
] as const;
const CODES = [
  "unreadable", "form", "commit", "notice", "site", "time", "event", "unconfigured", "path", "other-key", "signature", "no-key", "cosignature",
  "no-cosignature", "bundle-notice", "no-witness", "keys-claimed", "witness-claimed", "moved", "late", "supersedes",
] as const;

export type Name = (typeof NAMES)[number];
export interface Language { code: string; name: string; says: Record<Name, string>; means: Record<string, string> }

const language = (code: string, name: string, says: string, means: string): Language => {
  const split = <K extends string>(names: readonly K[], text: string): Record<K, string> => {
    const lines = text.trim().split("\n").map((line) => line.trim());
    if (lines.length !== names.length) throw new Error(`${code}: ${lines.length} lines for ${names.length} names`);
    return Object.fromEntries(names.map((one, at) => [one, lines[at]!])) as Record<K, string>;
  };
  return { code, name, says: split(NAMES, says), means: split(CODES, means) };
};

export const LANGUAGES: Language[] = [
  language("fr", "Français", `
    Langue
    Vérifier un reçu
    Choisissez un reçu, un dossier de preuve ou un point de contrôle. Tout est vérifié dans ce navigateur, sans réseau : rien n’est envoyé.
    Fichier à vérifier
    … ou déposez-le n’importe où sur cette page.
    Clé publique du journal
    Une ligne, comme le site la publie sous /_volens/log/keys. Demandez-la plutôt à quelqu’un en qui vous avez confiance. Sans elle, les clés du dossier sont prises.
    Clé d’un témoin (facultatif)
    Une ligne par témoin en qui vous avez confiance. Chacun doit alors avoir signé.
    Tout concorde
    Cet enregistrement est dans le journal signé, tel quel.
    Quelque chose ne concorde pas
    Tout n’a pas pu être vérifié
    À savoir
    Site
    Heure du choix
    Inscrit au journal
    Choix
    Autorisé
    Refusé
    Place dans le journal
    Signé par
    Vu par un témoin
    donné
    modifié
    retiré
    Une clé n’est pas complète. Copiez la ligne entière.
    Ce navigateur ne sait pas vérifier ces signatures, ou cette page n’est pas ouverte par https ou depuis un fichier. Ouvrez-la dans un navigateur récent.
    rien
  `, `
    Ce n’est pas le document attendu : on ne peut rien en dire.
    Une partie manque ou n’a pas la bonne forme. Redemandez le document.
    L’enregistrement, ou son sel, n’est pas celui qui a été inscrit : il a été changé, ou vient d’un autre reçu.
    L’enregistrement et l’inscription nomment deux notices différentes : l’un des deux vient d’ailleurs.
    L’enregistrement, l’inscription et le point de contrôle nomment des sites différents : des morceaux de plusieurs reçus ont été réunis.
    L’enregistrement se dit plus récent que son inscription : une heure a été changée.
    L’enregistrement se contredit : Volens n’en fait pas de tel.
    Une démonstration sans configuration l’a produit : il ne prouve rien sur un site.
    L’inscription n’est pas dans l’arbre signé : l’inscription, sa place, le chemin ou le point de contrôle a été changé, ou vient d’un autre reçu.
    Quelqu’un d’autre a signé, ou le journal a changé de clé. Demandez la clé à quelqu’un en qui vous avez confiance.
    Le texte a été changé après sa signature, ou la signature l’a été.
    Sans la clé publique du journal, personne ne sait qui a signé. Donnez-la ci-dessous.
    Ce qui passe pour la parole d’un témoin n’a pas été dit de ce point de contrôle.
    Le témoin à qui vous vous fiez n’a pas vu cet arbre. L’exploitant vous montre peut-être un arbre que personne d’autre ne voit.
    La notice du dossier n’est pas celle à laquelle il a été répondu : textes, services ou présentation ont été changés.
    Aucun témoin connu ici ne l’a signé. Nul autre que l’exploitant n’a pu le changer sans que cela se voie ; lui a pu le réécrire et le signer de nouveau.
    Les clés viennent du dossier lui-même : n’importe qui a pu tout fabriquer. Comparez-les à celles que le site publie ou que son témoin connaît, et donnez-les ci-dessus.
    Ces témoins sont nommés par le site lui-même. Demandez-leur leur clé.
    Il date d’avant ce journal : le journal prouve qu’il était là à l’heure de l’inscription, pas à la sienne.
    Le journal prouve qu’il était là à l’heure de l’inscription, pas à la sienne.
    Il modifie ou retire un choix antérieur, dont le reçu dit ce qui valait avant.
  `),
  language("en", "English", `
    Language
    Check a receipt
    Choose a receipt, a bundle or a checkpoint. All of it is checked in this browser, without a network: nothing is sent.
    File to check
    … or drop it anywhere on this page.
    Public key of the log
    One line, as the site gives it at /_volens/log/keys. Better ask somebody you trust. Without it the bundle’s own keys are taken.
    Key of a witness (optional)
    A line for each witness you trust. Each must have signed then.
    Everything fits
    This record is in the signed log, as it stands.
    Something does not fit
    Not everything could be checked
    Good to know
    Site
    Time of the choice
    Logged
    Choice
    Allowed
    Refused
    Place in the log
    Signed by
    Seen by a witness
    given
    changed
    withdrawn
    A key is not whole. Copy the entire line.
    This browser cannot check these signatures, or this page was not opened by https or from a file. Open it in a recent browser.
    nothing
  `, `
    This is not the document it should be: nothing can be said of it.
    A part is missing or has another form. Ask for the document again.
    The record, or its salt, is not the one that was logged: it was changed, or belongs to another receipt.
    Record and log entry name different notices: one of them is another receipt’s.
    Record, log entry and checkpoint name different sites: parts of several receipts were put together.
    The record claims a time after it was logged: a time was shifted.
    The record contradicts itself: Volens makes no such record.
    A demonstration without configuration made it: it proves nothing about a site.
    The entry is not in the tree that was signed: entry, place, path or checkpoint was changed, or is another receipt’s.
    Somebody else signed this, or the log changed its key. Get the key from somebody you trust.
    The text was changed after it was signed, or the signature was.
    Without the log’s public key nobody knows who signed. Give it below.
    What stands here as a witness’s word was not given for this checkpoint.
    The witness you trust has not seen this tree. The operator may show you a tree that nobody else sees.
    The notice in the bundle is not the one that was answered: texts, services or layout were changed.
    No witness that is known here has signed it. Nobody but the operator could have changed it unseen: who keeps the log could have rewritten it and signed it anew.
    The keys come from the bundle itself, so anybody could have made all of it. Compare them with those that the site publishes or its witness knows, and give them above.
    The site itself names these witnesses. Ask them for their key.
    It was kept before this log began: the log proves that it was there at the entry’s time, not at its own.
    The log proves that it was there at the entry’s time, not at its own.
    It changes or withdraws an earlier choice, whose receipt tells what held before.
  `),
  language("de", "Deutsch", `
    Sprache
    Einen Beleg prüfen
    Wählen Sie einen Beleg, eine Beweisakte oder einen Prüfpunkt. Alles wird in diesem Browser geprüft, ohne Netz: nichts wird gesendet.
    Zu prüfende Datei
    … oder legen Sie sie irgendwo auf dieser Seite ab.
    Öffentlicher Schlüssel des Protokolls
    Eine Zeile, wie die Website sie unter /_volens/log/keys angibt. Besser fragen Sie jemanden, dem Sie trauen. Ohne ihn gelten die Schlüssel der Akte.
    Schlüssel eines Zeugen (freiwillig)
    Eine Zeile für jeden Zeugen, dem Sie trauen. Jeder muss dann unterschrieben haben.
    Alles stimmt
    Dieser Eintrag steht unverändert im unterschriebenen Protokoll.
    Etwas stimmt nicht
    Nicht alles konnte geprüft werden
    Gut zu wissen
    Website
    Zeit der Wahl
    Protokolliert
    Wahl
    Erlaubt
    Abgelehnt
    Stelle im Protokoll
    Unterschrieben von
    Von einem Zeugen gesehen
    erteilt
    geändert
    widerrufen
    Ein Schlüssel ist nicht vollständig. Kopieren Sie die ganze Zeile.
    Dieser Browser kann diese Unterschriften nicht prüfen, oder die Seite wurde nicht über https oder aus einer Datei geöffnet. Öffnen Sie sie in einem neueren Browser.
    nichts
  `, `
    Das ist nicht das erwartete Dokument: es lässt sich nichts darüber sagen.
    Ein Teil fehlt oder hat eine andere Form. Fordern Sie das Dokument noch einmal an.
    Der Datensatz oder sein Salz ist nicht der protokollierte: er wurde geändert oder gehört zu einem anderen Beleg.
    Datensatz und Protokolleintrag nennen verschiedene Hinweise: einer gehört zu einem anderen Beleg.
    Datensatz, Eintrag und Prüfpunkt nennen verschiedene Websites: Teile mehrerer Belege wurden zusammengesetzt.
    Der Datensatz gibt sich jünger als sein Eintrag: eine Zeit wurde verschoben.
    Der Datensatz widerspricht sich: Volens macht keinen solchen.
    Eine Vorführung ohne Konfiguration hat ihn gemacht: er beweist nichts über eine Website.
    Der Eintrag steht nicht im unterschriebenen Baum: Eintrag, Stelle, Pfad oder Prüfpunkt wurde geändert oder gehört zu einem anderen Beleg.
    Jemand anderes hat unterschrieben, oder das Protokoll hat einen neuen Schlüssel. Holen Sie ihn bei jemandem, dem Sie trauen.
    Der Text wurde nach der Unterschrift geändert, oder die Unterschrift wurde es.
    Ohne den öffentlichen Schlüssel des Protokolls weiß niemand, wer unterschrieben hat. Geben Sie ihn unten ein.
    Was hier als Wort eines Zeugen steht, galt nicht diesem Prüfpunkt.
    Der Zeuge, dem Sie trauen, hat diesen Baum nicht gesehen. Vielleicht zeigt der Betreiber Ihnen einen Baum, den sonst niemand sieht.
    Der Hinweis in der Akte ist nicht der beantwortete: Texte, Dienste oder Gestaltung wurden geändert.
    Kein hier bekannter Zeuge hat unterschrieben. Niemand außer dem Betreiber konnte es unbemerkt ändern: Wer das Protokoll führt, könnte es umgeschrieben und neu unterschrieben haben.
    Die Schlüssel stammen aus der Akte selbst: jeder könnte alles gefertigt haben. Vergleichen Sie sie mit denen, die die Website veröffentlicht oder ihr Zeuge kennt, und geben Sie sie oben ein.
    Diese Zeugen nennt die Website selbst. Fragen Sie sie nach ihrem Schlüssel.
    Er stammt aus der Zeit vor diesem Protokoll: bewiesen ist, dass er zur Zeit des Eintrags da war, nicht zu seiner eigenen.
    Bewiesen ist, dass er zur Zeit des Eintrags da war, nicht zu seiner eigenen.
    Er ändert oder widerruft eine frühere Wahl; deren Beleg sagt, was vorher galt.
  `),
  language("es", "Español", `
    Idioma
    Comprobar un recibo
    Elija un recibo, un expediente de prueba o un punto de control. Todo se comprueba en este navegador, sin red: no se envía nada.
    Archivo que se comprueba
    … o suéltelo en cualquier lugar de esta página.
    Clave pública del registro
    Una línea, como la publica el sitio en /_volens/log/keys. Mejor pídala a alguien de confianza. Sin ella se toman las claves del expediente.
    Clave de un testigo (opcional)
    Una línea por cada testigo en quien confía. Cada uno debe haber firmado.
    Todo concuerda
    Esta anotación está en el registro firmado, tal cual.
    Algo no concuerda
    No se ha podido comprobar todo
    Conviene saber
    Sitio
    Hora de la elección
    Anotado
    Elección
    Permitido
    Rechazado
    Lugar en el registro
    Firmado por
    Visto por un testigo
    dada
    modificada
    retirada
    Una clave no está completa. Copie la línea entera.
    Este navegador no puede comprobar estas firmas, o la página no se abrió por https ni desde un archivo. Ábrala en un navegador reciente.
    nada
  `, `
    No es el documento esperado: no se puede decir nada de él.
    Falta una parte o tiene otra forma. Vuelva a pedir el documento.
    La anotación, o su sal, no es la que se registró: se cambió o pertenece a otro recibo.
    La anotación y la entrada nombran avisos distintos: una es de otro recibo.
    La anotación, la entrada y el punto de control nombran sitios distintos: se juntaron partes de varios recibos.
    La anotación dice ser posterior a su entrada: se cambió una hora.
    La anotación se contradice: Volens no hace ninguna así.
    La hizo una demostración sin configurar: no prueba nada sobre un sitio.
    La entrada no está en el árbol firmado: la entrada, su lugar, el camino o el punto de control se cambió o es de otro recibo.
    Lo firmó otra persona, o el registro cambió de clave. Pida la clave a alguien de confianza.
    El texto se cambió después de firmarlo, o se cambió la firma.
    Sin la clave pública del registro nadie sabe quién firmó. Escríbala abajo.
    Lo que figura como palabra de un testigo no se dio para este punto de control.
    El testigo en quien confía no ha visto este árbol. Quizá el operador le muestra uno que nadie más ve.
    El aviso del expediente no es el que se respondió: se cambiaron textos, servicios o presentación.
    Ningún testigo conocido aquí lo ha firmado. Nadie más que el operador pudo cambiarlo sin que se notara: quien lleva el registro pudo reescribirlo y firmarlo de nuevo.
    Las claves vienen del propio expediente: cualquiera pudo fabricarlo todo. Compárelas con las que publica el sitio o conoce su testigo, y escríbalas arriba.
    A estos testigos los nombra el propio sitio. Pídales su clave.
    Es anterior a este registro: se prueba que estaba a la hora de la entrada, no a la suya.
    Se prueba que estaba a la hora de la entrada, no a la suya.
    Modifica o retira una elección anterior, cuyo recibo dice lo que valía antes.
  `),
  language("it", "Italiano", `
    Lingua
    Verificare una ricevuta
    Scegli una ricevuta, un fascicolo di prova o un punto di controllo. Tutto è verificato in questo browser, senza rete: non si invia nulla.
    File da verificare
    … o trascinalo in un punto qualsiasi di questa pagina.
    Chiave pubblica del registro
    Una riga, come il sito la pubblica in /_volens/log/keys. Meglio chiederla a qualcuno di cui ti fidi. Senza, valgono le chiavi del fascicolo.
    Chiave di un testimone (facoltativa)
    Una riga per ogni testimone di cui ti fidi. Ciascuno deve allora aver firmato.
    Tutto coincide
    Questa annotazione è nel registro firmato, così com’è.
    Qualcosa non coincide
    Non tutto si è potuto verificare
    Da sapere
    Sito
    Ora della scelta
    Annotato
    Scelta
    Consentito
    Rifiutato
    Posto nel registro
    Firmato da
    Visto da un testimone
    data
    modificata
    revocata
    Una chiave non è intera. Copia tutta la riga.
    Questo browser non sa verificare queste firme, o la pagina non è aperta via https o da un file. Aprila in un browser recente.
    nulla
  `, `
    Non è il documento atteso: non se ne può dire nulla.
    Una parte manca o ha un’altra forma. Richiedi il documento.
    L’annotazione, o il suo sale, non è quella registrata: è stata cambiata o è di un’altra ricevuta.
    Annotazione e voce nominano informative diverse: una è di un’altra ricevuta.
    Annotazione, voce e punto di controllo nominano siti diversi: sono state unite parti di più ricevute.
    L’annotazione si dice successiva alla sua voce: un’ora è stata cambiata.
    L’annotazione si contraddice: Volens non ne fa di simili.
    L’ha fatta una dimostrazione senza configurazione: non prova nulla su un sito.
    La voce non è nell’albero firmato: voce, posto, percorso o punto di controllo è stato cambiato o è di un’altra ricevuta.
    Ha firmato qualcun altro, o il registro ha cambiato chiave. Chiedi la chiave a qualcuno di cui ti fidi.
    Il testo è stato cambiato dopo la firma, o lo è stata la firma.
    Senza la chiave pubblica del registro nessuno sa chi ha firmato. Scrivila qui sotto.
    Ciò che passa per la parola di un testimone non fu detto di questo punto di controllo.
    Il testimone di cui ti fidi non ha visto questo albero. Forse il gestore te ne mostra uno che nessun altro vede.
    L’informativa nel fascicolo non è quella a cui si è risposto: testi, servizi o aspetto sono stati cambiati.
    Nessun testimone noto qui l’ha firmato. Nessuno, tranne il gestore, ha potuto cambiarlo senza che si vedesse: chi tiene il registro può averlo riscritto e firmato di nuovo.
    Le chiavi vengono dal fascicolo stesso: chiunque può aver fabbricato tutto. Confrontale con quelle che il sito pubblica o che il suo testimone conosce, e scrivile qui sopra.
    Questi testimoni li nomina il sito stesso. Chiedi loro la chiave.
    È precedente a questo registro: è provato che c’era all’ora della voce, non alla propria.
    È provato che c’era all’ora della voce, non alla propria.
    Modifica o revoca una scelta precedente, la cui ricevuta dice che cosa valeva prima.
  `),
  language("pt", "Português", `
    Língua
    Verificar um recibo
    Escolha um recibo, um processo de prova ou um ponto de controlo. Tudo é verificado neste navegador, sem rede: nada é enviado.
    Ficheiro a verificar
    … ou largue-o em qualquer ponto desta página.
    Chave pública do registo
    Uma linha, como o sítio a publica em /_volens/log/keys. Melhor pedi-la a alguém em quem confia. Sem ela, usam-se as chaves do processo.
    Chave de uma testemunha (facultativa)
    Uma linha por cada testemunha em quem confia. Cada uma tem então de ter assinado.
    Tudo confere
    Esta anotação está no registo assinado, tal como é.
    Algo não confere
    Nem tudo pôde ser verificado
    A saber
    Sítio
    Hora da escolha
    Registado
    Escolha
    Permitido
    Recusado
    Lugar no registo
    Assinado por
    Visto por uma testemunha
    dada
    alterada
    retirada
    Uma chave não está completa. Copie a linha inteira.
    Este navegador não sabe verificar estas assinaturas, ou a página não foi aberta por https nem de um ficheiro. Abra-a num navegador recente.
    nada
  `, `
    Não é o documento esperado: nada se pode dizer dele.
    Falta uma parte ou tem outra forma. Volte a pedir o documento.
    A anotação, ou o seu sal, não é a que foi registada: foi alterada ou é de outro recibo.
    A anotação e a entrada nomeiam avisos diferentes: uma é de outro recibo.
    A anotação, a entrada e o ponto de controlo nomeiam sítios diferentes: juntaram-se partes de vários recibos.
    A anotação diz-se posterior à sua entrada: uma hora foi alterada.
    A anotação contradiz-se: o Volens não faz nenhuma assim.
    Foi feita por uma demonstração sem configuração: nada prova sobre um sítio.
    A entrada não está na árvore assinada: entrada, lugar, caminho ou ponto de controlo foi alterado ou é de outro recibo.
    Outra pessoa assinou, ou o registo mudou de chave. Peça a chave a alguém em quem confia.
    O texto foi alterado depois de assinado, ou a assinatura foi.
    Sem a chave pública do registo ninguém sabe quem assinou. Escreva-a abaixo.
    O que passa por palavra de uma testemunha não foi dito deste ponto de controlo.
    A testemunha em quem confia não viu esta árvore. Talvez o operador lhe mostre uma que mais ninguém vê.
    O aviso no processo não é aquele a que se respondeu: textos, serviços ou apresentação foram alterados.
    Nenhuma testemunha conhecida aqui o assinou. Ninguém, exceto o operador, o pôde alterar sem que se notasse: quem mantém o registo pode tê-lo reescrito e assinado de novo.
    As chaves vêm do próprio processo: qualquer um pode ter feito tudo. Compare-as com as que o sítio publica ou a sua testemunha conhece, e escreva-as acima.
    Estas testemunhas são nomeadas pelo próprio sítio. Peça-lhes a chave.
    É anterior a este registo: prova-se que existia à hora da entrada, não à sua.
    Prova-se que existia à hora da entrada, não à sua.
    Altera ou retira uma escolha anterior, cujo recibo diz o que valia antes.
  `),
  language("nl", "Nederlands", `
    Taal
    Een ontvangstbewijs controleren
    Kies een ontvangstbewijs, een bewijsdossier of een controlepunt. Alles wordt in deze browser gecontroleerd, zonder netwerk: er wordt niets verzonden.
    Te controleren bestand
    … of laat het ergens op deze pagina los.
    Openbare sleutel van het logboek
    Eén regel, zoals de site hem geeft op /_volens/log/keys. Vraag hem liever aan iemand die u vertrouwt. Zonder gelden de sleutels van het dossier.
    Sleutel van een getuige (facultatief)
    Een regel voor elke getuige die u vertrouwt. Elk moet dan getekend hebben.
    Alles klopt
    Deze aantekening staat ongewijzigd in het ondertekende logboek.
    Iets klopt niet
    Niet alles kon worden gecontroleerd
    Goed om te weten
    Site
    Tijd van de keuze
    In het logboek
    Keuze
    Toegestaan
    Geweigerd
    Plaats in het logboek
    Ondertekend door
    Gezien door een getuige
    gegeven
    gewijzigd
    ingetrokken
    Een sleutel is niet heel. Kopieer de hele regel.
    Deze browser kan deze handtekeningen niet controleren, of de pagina is niet via https of uit een bestand geopend. Open haar in een recente browser.
    niets
  `, `
    Dit is niet het verwachte document: er valt niets over te zeggen.
    Een deel ontbreekt of heeft een andere vorm. Vraag het document opnieuw.
    De aantekening, of haar zout, is niet die van het logboek: ze is gewijzigd of hoort bij een ander bewijs.
    Aantekening en logregel noemen verschillende kennisgevingen: een ervan hoort bij een ander bewijs.
    Aantekening, logregel en controlepunt noemen verschillende sites: delen van meer bewijzen zijn samengevoegd.
    De aantekening zegt jonger te zijn dan haar logregel: een tijd is verschoven.
    De aantekening spreekt zichzelf tegen: zo maakt Volens er geen.
    Een demonstratie zonder configuratie maakte haar: ze bewijst niets over een site.
    De logregel staat niet in de ondertekende boom: regel, plaats, pad of controlepunt is gewijzigd of hoort bij een ander bewijs.
    Iemand anders heeft getekend, of het logboek kreeg een andere sleutel. Vraag de sleutel aan iemand die u vertrouwt.
    De tekst is na het tekenen gewijzigd, of de handtekening is dat.
    Zonder de openbare sleutel van het logboek weet niemand wie tekende. Geef hem hieronder.
    Wat hier als woord van een getuige staat, gold niet dit controlepunt.
    De getuige die u vertrouwt heeft deze boom niet gezien. Misschien toont de beheerder u een boom die niemand anders ziet.
    De kennisgeving in het dossier is niet die waarop werd geantwoord: teksten, diensten of vorm zijn gewijzigd.
    Geen hier bekende getuige heeft getekend. Niemand behalve de beheerder kon het ongemerkt veranderen: wie het logboek houdt, kan het hebben herschreven en opnieuw getekend.
    De sleutels komen uit het dossier zelf: iedereen kan alles hebben gemaakt. Vergelijk ze met die van de site of van haar getuige, en geef ze hierboven.
    Deze getuigen noemt de site zelf. Vraag hun om hun sleutel.
    Het is van voor dit logboek: bewezen is dat het er was op de tijd van de logregel, niet op zijn eigen tijd.
    Bewezen is dat het er was op de tijd van de logregel, niet op zijn eigen tijd.
    Het wijzigt of trekt een eerdere keuze in; wat eerst gold staat in dat bewijs.
  `),
  language("pl", "Polski", `
    Język
    Sprawdź potwierdzenie
    Wybierz potwierdzenie, pakiet dowodowy lub punkt kontrolny. Wszystko jest sprawdzane w tej przeglądarce, bez sieci: nic nie jest wysyłane.
    Plik do sprawdzenia
    … albo upuść go gdziekolwiek na tej stronie.
    Klucz publiczny dziennika
    Jeden wiersz, taki jak witryna podaje pod /_volens/log/keys. Lepiej poproś o niego kogoś zaufanego. Bez niego używane są klucze z pakietu.
    Klucz świadka (opcjonalnie)
    Po wierszu na każdego zaufanego świadka. Każdy musi wtedy być podpisany.
    Wszystko się zgadza
    Ten zapis znajduje się w podpisanym dzienniku w tej postaci.
    Coś się nie zgadza
    Nie wszystko udało się sprawdzić
    Warto wiedzieć
    Witryna
    Czas wyboru
    Wpisano
    Wybór
    Dozwolone
    Odmówione
    Miejsce w dzienniku
    Podpisane przez
    Widziane przez świadka
    udzielony
    zmieniony
    wycofany
    Klucz nie jest cały. Skopiuj cały wiersz.
    Ta przeglądarka nie potrafi sprawdzić tych podpisów albo strony nie otwarto przez https ani z pliku. Otwórz ją w nowszej przeglądarce.
    nic
  `, `
    To nie jest oczekiwany dokument: nic nie można o nim powiedzieć.
    Brakuje części albo ma inną postać. Poproś o dokument ponownie.
    Zapis lub jego sól nie jest tym, który wpisano: został zmieniony albo należy do innego potwierdzenia.
    Zapis i wpis wskazują różne informacje: jedno pochodzi z innego potwierdzenia.
    Zapis, wpis i punkt kontrolny wskazują różne witryny: połączono części kilku potwierdzeń.
    Zapis podaje czas późniejszy niż wpis: czas przesunięto.
    Zapis przeczy sam sobie: Volens takich nie tworzy.
    Powstał w demonstracji bez konfiguracji: niczego nie dowodzi o witrynie.
    Wpisu nie ma w podpisanym drzewie: wpis, miejsce, ścieżkę lub punkt kontrolny zmieniono albo należy do innego potwierdzenia.
    Podpisał ktoś inny albo dziennik zmienił klucz. Poproś o klucz kogoś zaufanego.
    Tekst zmieniono po podpisaniu albo zmieniono podpis.
    Bez klucza publicznego dziennika nikt nie wie, kto podpisał. Podaj go poniżej.
    To, co uchodzi za słowo świadka, nie dotyczyło tego punktu kontrolnego.
    Świadek, któremu ufasz, nie widział tego drzewa. Być może operator pokazuje ci drzewo, którego nikt inny nie widzi.
    Informacja w pakiecie nie jest tą, na którą odpowiedziano: zmieniono teksty, usługi lub układ.
    Żaden znany tu świadek tego nie podpisał. Nikt poza operatorem nie mógł tego niepostrzeżenie zmienić: kto prowadzi dziennik, mógł go przepisać i podpisać na nowo.
    Klucze pochodzą z samego pakietu: każdy mógł wszystko sfabrykować. Porównaj je z tymi, które podaje witryna lub zna jej świadek, i wpisz je powyżej.
    Tych świadków podaje sama witryna. Poproś ich o klucz.
    Powstał przed tym dziennikiem: dowiedziono, że istniał w chwili wpisu, nie w podanej przez siebie.
    Dowiedziono, że istniał w chwili wpisu, nie w podanej przez siebie.
    Zmienia lub wycofuje wcześniejszy wybór; co obowiązywało przedtem, mówi tamto potwierdzenie.
  `),
  language("ar", "العربية", `
    اللغة
    التحقق من إيصال
    اختر إيصالاً أو ملف إثبات أو نقطة تحقق. يجري التحقق كله في هذا المتصفح من دون شبكة: لا يُرسل شيء.
    الملف المراد التحقق منه
    … أو أفلته في أي مكان من هذه الصفحة.
    المفتاح العام للسجل
    سطر واحد كما ينشره الموقع في /_volens/log/keys. والأفضل أن تطلبه ممن تثق به. من دونه تُؤخذ مفاتيح الملف نفسه.
    مفتاح شاهد (اختياري)
    سطر لكل شاهد تثق به. وعندها يجب أن يكون كل منهم قد وقّع.
    كل شيء متطابق
    هذا القيد موجود في السجل الموقّع كما هو.
    هناك ما لا يتطابق
    تعذّر التحقق من كل شيء
    من المفيد أن تعلم
    الموقع
    وقت الاختيار
    وقت التسجيل
    الاختيار
    المسموح
    المرفوض
    الموضع في السجل
    التوقيع
    شوهد من شاهد
    مُنح
    عُدّل
    سُحب
    أحد المفاتيح ناقص. انسخ السطر كاملاً.
    لا يستطيع هذا المتصفح التحقق من هذه التواقيع، أو لم تُفتح الصفحة عبر https أو من ملف. افتحها في متصفح حديث.
    لا شيء
  `, `
    ليس هذا المستند المتوقع: لا يمكن قول شيء عنه.
    جزء ناقص أو له شكل آخر. اطلب المستند من جديد.
    القيد أو ملحه ليس ما سُجّل: لقد غُيّر أو يعود إلى إيصال آخر.
    القيد ومدخل السجل يسمّيان إشعارين مختلفين: أحدهما من إيصال آخر.
    القيد والمدخل ونقطة التحقق تسمّي مواقع مختلفة: جُمعت أجزاء من عدة إيصالات.
    يدّعي القيد وقتاً بعد تسجيله: غُيّر أحد الأوقات.
    القيد يناقض نفسه: لا يُنشئ Volens مثله.
    أنشأه عرض تجريبي بلا إعداد: لا يثبت شيئاً عن موقع.
    المدخل ليس في الشجرة الموقّعة: غُيّر المدخل أو موضعه أو المسار أو نقطة التحقق، أو هو من إيصال آخر.
    وقّع شخص آخر، أو غيّر السجل مفتاحه. اطلب المفتاح ممن تثق به.
    غُيّر النص بعد توقيعه، أو غُيّر التوقيع.
    من دون المفتاح العام للسجل لا يعرف أحد من وقّع. اكتبه أدناه.
    ما يظهر هنا كلاماً لشاهد لم يُقل عن نقطة التحقق هذه.
    الشاهد الذي تثق به لم يرَ هذه الشجرة. قد يُريك المشغّل شجرة لا يراها غيرك.
    الإشعار في الملف ليس الذي أُجيب عنه: غُيّرت النصوص أو الخدمات أو العرض.
    لم يوقّعه أي شاهد معروف هنا. لا أحد سوى المشغّل كان يستطيع تغييره خفيةً: من يمسك السجل قد يكون أعاد كتابته وتوقيعه.
    المفاتيح من الملف نفسه: قد يكون أي أحد صنع كل ذلك. قارنها بما ينشره الموقع أو يعرفه شاهده واكتبها أعلاه.
    هؤلاء الشهود سمّاهم الموقع نفسه. اطلب منهم مفاتيحهم.
    هو أقدم من هذا السجل: الثابت أنه كان موجوداً وقت المدخل، لا في وقته هو.
    الثابت أنه كان موجوداً وقت المدخل، لا في وقته هو.
    يعدّل اختياراً سابقاً أو يسحبه، وإيصال ذاك يقول ما كان سارياً قبله.
  `),
];
