<?php
// A page that asks Volens before it reckons with a reader. Behind: volens proxy --upstream http://127.0.0.1:3000
header('Cache-Control: no-store');    // what depends on the header is for one visitor

/** Whether the visitor has agreed to a purpose or a service: Volens-Consent, an RFC 9651 dictionary of Booleans. */
function volens_allows(string $id): bool
{
    $granted = [];
    foreach (explode(',', $_SERVER['HTTP_VOLENS_CONSENT'] ?? '') as $member) {
        if (!preg_match('/^\s*([a-z][a-z0-9-]*)(=\?0)?\s*$/D', $member, $found)) {
            return false;
        }
        $granted[$found[1]] = !isset($found[2]);
    }
    return $granted[$id] ?? false;
}

$read = $_COOKIE['lectures'] ?? '0';
if (volens_allows('personnalisation')) {
    $read = (string) ((int) $read + 1);
    setcookie('lectures', $read, ['expires' => time() + 180 * 86400, 'path' => '/', 'samesite' => 'Lax']);
}
?>
<!DOCTYPE html>
<html lang="fr">
<title>Le Carnet</title>
<h1>Le Carnet</h1>
<?php if (volens_allows('personnalisation')): ?>
<p id="said">Pages lues : <?= (int) $read ?>.</p>
<?php else: ?>
<p id="said">Nous ne comptons pas ce que vous lisez.</p>
<?php endif ?>
<p><a href="/_volens/panel?back=/">Paramétrer vos choix</a></p>
</html>
