# An environment with the program that unpacks it, in the form of pixi-pack. What it takes: .\FILE.ps1 --help
$ErrorActionPreference = 'Stop'
$place = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid().ToString())
New-Item -ItemType Directory -Path $place | Out-Null
try {
    $lines = [IO.File]::ReadAllLines($PSCommandPath)
    $archive = Join-Path $place 'environment.tar'
    $program = Join-Path $place 'pixi-unpack.exe'
    [IO.File]::WriteAllBytes($archive, [Convert]::FromBase64String($lines[@ARCHIVE@ - 1]))
    [IO.File]::WriteAllBytes($program, [Convert]::FromBase64String($lines[@PROGRAM@ - 1]))
    $found = (Get-FileHash -Algorithm SHA256 $archive).Hash + ' ' + (Get-FileHash -Algorithm SHA256 $program).Hash
    if ($found.ToLower() -ne '@SUMS@') {
        throw 'this file is damaged: its checksum is wrong. Copy it here again'
    }
    & $program @args $archive
    $code = $LASTEXITCODE
} finally {
    Remove-Item -Recurse -Force $place
}
exit $code
__END_HEADER__
